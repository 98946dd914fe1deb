// Charts by uPlot, in the page's colours: lines over time, bars of shares, and sparklines.

import uPlot from './vendor/uPlot.esm.js';
import { build, clock, element, write } from './cells.js';

const FONT = '12px system-ui, sans-serif', AXIS = 56, LINE = 26;
const live = new Set();

// The present value of a colour of the style sheet.
function ink(name) {
  return getComputedStyle(document.getElementById(`ink-${name}`) || probe(name)).color;
}

function probe(name) {
  const node = build('i', { id: `ink-${name}`, className: `probe ink-${name}`, hidden: true });
  document.body.append(node);
  return node;
}

// Draws every chart again, after the colours changed.
export function redraw() {
  for (const chart of live) chart.plot.redraw();
}

// The places of values that have no value beside them.
function alone(values) {
  const isEmpty = (at) => values[at] === null || values[at] === undefined;
  return [...values.keys()].filter((at) => !isEmpty(at) && isEmpty(at - 1) && isEmpty(at + 1));
}

class Chart {
  // `series` has a label and an ink for each line or bar; `format` writes a value of the vertical axis.
  constructor({ label, series, format, height = 180, name }) {
    this.series = series;
    this.format = format;
    this.label = label;
    this.name = name;
    this.height = height;
    this.plot = null;
    this.canvas = build('div', { className: 'chart', tabIndex: 0 });
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', label); // until it is drawn, as behind a fold
    this.legend = build('ul', { className: 'legend' }, ...series.map((part) => build('li', {}, element('i', '', `key ink-${part.ink}`), `${part.label} `, element('b'))));
    this.at = element('span', '', 'soft');
    this.node = build('figure', {}, build('figcaption', {}, label, ' ', this.at), this.canvas, this.legend);
    this.canvas.addEventListener('keydown', (event) => this.move(event));
    this.observer = new ResizeObserver(() => this.plot?.setSize(this.size));
  }

  get size() { return { width: Math.max(160, this.canvas.clientWidth), height: this.height }; }

  // Draws columns of numbers: the horizontal values, then one column a series.
  set(data) {
    this.data = data;
    if (this.plot) this.plot.setData(data);
    else if (this.canvas.isConnected) {
      this.plot = new uPlot({ ...this.options(), ...this.size }, data, this.canvas);
      this.observer.observe(this.canvas);
      live.add(this);
    }
    if (!this.plot?.cursor || this.plot.cursor.idx === null || this.plot.cursor.idx === undefined) this.read(data[0].length - 1, false);
  }

  remove() {
    live.delete(this);
    this.observer.disconnect();
    this.plot?.destroy();
    this.plot = null;
  }

  // Writes the values at a place into the legend.
  read(at, named = true) {
    const values = this.series.map((_, number) => this.data[number + 1][at]);
    const texts = values.map((value) => (value === null || value === undefined ? '–' : this.format(value)));
    [...this.legend.querySelectorAll('b')].forEach((node, number) => write(node, texts[number]));
    write(this.at, named && this.data[0].length ? this.name(this.data[0][at]) : '');
    const summary = `${this.label}: ${this.series.map((part, number) => `${part.label} ${texts[number]}`).join(', ')}`;
    if (this.canvas.getAttribute('aria-label') !== summary) this.canvas.setAttribute('aria-label', summary);
  }

  // The arrow keys move the cursor, as the mouse does.
  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key], last = this.data[0].length - 1;
    if (!step || !this.plot) return;
    event.preventDefault();
    const at = Math.min(last, Math.max(0, (this.plot.cursor.idx ?? last) + step));
    this.plot.setCursor({ left: this.plot.valToPos(this.data[0][at], 'x'), top: 0 });
  }

  axis(more) {
    const stroke = () => ink('soft'), grid = { stroke: () => ink('line'), width: 1 };
    return { stroke, grid, ticks: { show: false }, font: FONT, ...more };
  }

  // The points of a line: where it has room for them, and where a sample has no neighbour, which no line would show.
  points(name) {
    const filter = (plot, at, isShown) => (isShown ? null : alone(plot.data[at]));
    return { size: 4, fill: () => ink(name), filter };
  }

  options() {
    return {
      legend: { show: false }, padding: [8, 18, 0, 0], // half of the last time lies beyond the axis
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      hooks: { setCursor: [({ cursor }) => this.read(cursor.idx ?? this.data[0].length - 1, cursor.idx !== null && cursor.idx !== undefined)] },
      scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? 1.1 * most : 1] } },
      axes: [this.axis({ grid: { show: false }, size: LINE }), this.axis({ size: AXIS, values: (_, ticks) => ticks.map(this.format) })],
      series: [{}, ...this.series.map((part) => ({ stroke: () => ink(part.ink), width: 2, points: this.points(part.ink) }))],
    };
  }
}

// Lines over time; `marks` are moments, in seconds, at which something was changed.
export class LineChart extends Chart {
  constructor(options) {
    super({ name: (seconds) => clock(seconds), ...options });
    this.marks = [];
  }

  options() {
    const all = super.options(), axes = [{ ...all.axes[0], values: (_, ticks) => ticks.map((seconds) => clock(seconds, false)) }, all.axes[1]];
    return { ...all, axes, hooks: { ...all.hooks, draw: [(plot) => this.mark(plot)] } };
  }

  mark(plot) {
    const { ctx, bbox, scales } = plot, shown = this.marks.filter((seconds) => seconds >= scales.x.min && seconds <= scales.x.max);
    ctx.save();
    ctx.strokeStyle = ink('soft');
    ctx.setLineDash([4, 4]);
    for (const seconds of shown) {
      const x = Math.round(plot.valToPos(seconds, 'x', true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
}

// Bars side by side over named places; a series with `line` is a line across them, such as a limit.
export class BarChart extends Chart {
  constructor({ names, log = false, ...options }) {
    super({ name: (at) => names[at] ?? '', ...options });
    this.names = names;
    this.log = log;
    this.short = names.length < 13 && names.every((name) => name.length < 9);
    if (!this.short) this.canvas.after(build('p', { className: 'ends' }, element('span', names[0]), element('span', names.at(-1))));
  }

  options() {
    const all = super.options(), bars = this.series.filter((part) => !part.line).length, width = 0.8 / bars;
    const series = this.series.map((part, at) => (part.line ? { stroke: () => ink(part.ink), width: 2, dash: [6, 4], points: { show: false } } : {
      stroke: () => ink(part.ink), fill: () => ink(part.ink), width: 0, points: { show: false },
      paths: uPlot.paths.bars({ size: [width, 48], align: bars === 1 ? 0 : at ? 1 : -1 }),
    }));
    const last = this.names.length - 1;
    const places = this.axis({ grid: { show: false }, size: LINE, splits: () => this.names.map((_, at) => at), values: (_, places) => places.map((at) => this.names[at]), space: 4 });
    return {
      ...all, series: [{}, ...series],
      scales: { x: { time: false, range: [-0.6, last + 0.6] }, y: this.log ? { distr: 3 } : all.scales.y },
      axes: [this.short ? places : { ...places, values: () => [], size: 8 }, all.axes[1]],
    };
  }
}

// A line without axes; the text beside it says the same.
export class Sparkline {
  constructor(host, inkName = 'first') {
    this.host = host;
    this.ink = inkName;
    this.plot = null;
    this.observer = new ResizeObserver(() => this.plot?.setSize({ width: this.host.clientWidth, height: this.host.clientHeight }));
  }

  set(data) {
    if (this.plot) this.plot.setData(data);
    else if (this.host.isConnected && this.host.clientWidth) {
      this.plot = new uPlot({
        width: this.host.clientWidth, height: this.host.clientHeight, padding: [4, 0, 2, 0], legend: { show: false }, cursor: { show: false },
        axes: [{ show: false }, { show: false }], scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? 1.1 * most : 1] } },
        series: [{}, { stroke: () => ink(this.ink), fill: () => ink('wash'), width: 1.5, points: { show: false } }],
      }, data, this.host);
      this.observer.observe(this.host);
      live.add(this);
    }
  }
}
