// Parses Prometheus's text format, and computes increases and quantiles between two moments.

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parse(text) {
  const samples = [];
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line);
    if (match) {
      const labels = {};
      for (const [, name, value] of (match[2] || '').matchAll(LABEL)) labels[name] = value;
      samples.push({ name: match[1], labels, value: Number(match[3]) });
    }
  }
  return samples;
}

// The cumulative buckets of a histogram, by bound.
function buckets(series, name, chosen) {
  const counts = new Map();
  for (const sample of series) {
    if (sample.name === `${name}_bucket` && Object.entries(chosen).every(([key, value]) => sample.labels[key] === value)) {
      const bound = sample.labels.le === '+Inf' ? Infinity : Number(sample.labels.le);
      counts.set(bound, (counts.get(bound) || 0) + sample.value);
    }
  }
  return counts;
}

// The quantile of the values between two moments, interpolated as Prometheus does.
export function quantile(before, after, name, chosen, share) {
  const old = buckets(before, name, chosen);
  const counts = [...buckets(after, name, chosen)].map(([bound, count]) => [bound, count - (old.get(bound) || 0)]);
  counts.sort((a, b) => a[0] - b[0]);
  const total = counts.length ? counts[counts.length - 1][1] : 0;
  if (!total) return null;
  let low = 0, seen = 0;
  for (const [bound, count] of counts) {
    if (count >= share * total) {
      if (bound === Infinity) return low;
      return low + (bound - low) * ((share * total - seen) / (count - seen));
    }
    low = bound;
    seen = count;
  }
  return low;
}

export function sum(series, name, chosen = {}, also = () => true) {
  return series
    .filter((sample) => sample.name === name && Object.entries(chosen).every(([key, value]) => sample.labels[key] === value) && also(sample.labels))
    .reduce((total, sample) => total + sample.value, 0);
}

export function increase(before, after, name, chosen, also) {
  return Math.max(0, sum(after, name, chosen, also) - sum(before, name, chosen, also));
}
