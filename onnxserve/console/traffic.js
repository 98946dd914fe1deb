// The traffic of the last hour, in steps of some seconds: what the server kept, and what came since.

const MOST_STEPS = 720, RECENT_STEPS = 6, LATENCY_STEPS = 12;

export class Traffic {
  constructor() {
    this.step = 5;
    this.last = 0;
    this.points = new Map(); // by model and version, then by the number of the step
  }

  // Adds the steps that the server sent after `last`.
  merge({ step_s: step, last, versions }) {
    if (last < this.last) this.points.clear(); // the server's clock was set back
    Object.assign(this, { step, last });
    for (const { model, version, points } of versions) {
      const known = this.points.get(`${model} ${version}`) || new Map();
      for (const point of points) known.set(point[0], point);
      for (const number of known.keys()) if (number <= last - MOST_STEPS) known.delete(number);
      this.points.set(`${model} ${version}`, known);
    }
  }

  // Columns for a chart of the last `steps` steps: times, requests a second, failed and refused ones, and latencies in
  // seconds, null in steps without an answer.
  columns(name, version, steps) {
    const points = this.points.get(`${name} ${version}`) || new Map(), numbers = this.numbers(steps);
    const column = (at, none, unit) => numbers.map((number) => (points.has(number) && points.get(number)[at] !== null ? points.get(number)[at] / unit : none));
    return {
      times: numbers.map((number) => number * this.step),
      answers: column(1, 0, this.step), failed: column(2, 0, this.step), refused: column(3, 0, this.step),
      p50: column(4, null, 1), p90: column(5, null, 1), p99: column(6, null, 1),
    };
  }

  numbers(steps) {
    return Array.from({ length: steps }, (_, at) => this.last - steps + 1 + at);
  }

  // Requests a second and the share of failures in the last half minute, and the newest latencies of the last minute.
  recent(name, version) {
    const { answers, failed, refused, p50, p90, p99 } = this.columns(name, version, LATENCY_STEPS);
    const total = (column) => column.slice(-RECENT_STEPS).reduce((all, value) => all + value, 0);
    const newest = (column) => column.findLast((value) => value !== null) ?? null;
    return {
      rate: total(answers) / RECENT_STEPS, failed: total(answers) ? total(failed) / total(answers) : 0,
      refused: total(answers) ? total(refused) / total(answers) : 0, p50: newest(p50), p90: newest(p90), p99: newest(p99),
    };
  }
}
