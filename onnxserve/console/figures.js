// Parses Prometheus's text format, and sums samples.

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g, ESCAPED = /\\(.)/g;

export function parse(text) {
  const samples = [];
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line);
    if (match) {
      const labels = Object.create(null); // a label may have any name
      for (const [, name, value] of (match[2] || '').matchAll(LABEL)) labels[name] = value.replace(ESCAPED, (_, letter) => (letter === 'n' ? '\n' : letter));
      samples.push({ name: match[1], labels, value: Number(match[3]) });
    }
  }
  return samples;
}

// The samples of a metric whose labels have the chosen values.
export function select(samples, name, chosen = {}) {
  return samples.filter((sample) => sample.name === name && Object.entries(chosen).every(([key, value]) => sample.labels[key] === value));
}

export function sum(samples, name, chosen = {}) {
  return select(samples, name, chosen).reduce((total, sample) => total + sample.value, 0);
}
