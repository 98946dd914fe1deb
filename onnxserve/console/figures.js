// Prometheus's text format to numbers, and numbers of two moments to rates and quantiles.

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function parse(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line);
    if (match) {
      const labels = {};
      for (const [, name, value] of (match[2] || '').matchAll(LABEL)) labels[name] = value;
      found.push({ name: match[1], labels, value: Number(match[3]) });
    }
  }
  return found;
}

// Cumulative buckets of a histogram, by bound.
function buckets(series, name, chosen) {
  const found = new Map();
  for (const one of series) {
    if (one.name === `${name}_bucket` && Object.entries(chosen).every(([key, value]) => one.labels[key] === value)) {
      const bound = one.labels.le === '+Inf' ? Infinity : Number(one.labels.le);
      found.set(bound, (found.get(bound) || 0) + one.value);
    }
  }
  return found;
}

// Where the share-th of what came between two moments lies, as Prometheus interpolates.
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
    .filter((one) => one.name === name && Object.entries(chosen).every(([key, value]) => one.labels[key] === value) && also(one.labels))
    .reduce((total, one) => total + one.value, 0);
}

export function increase(before, after, name, chosen, also) {
  return Math.max(0, sum(after, name, chosen, also) - sum(before, name, chosen, also));
}
