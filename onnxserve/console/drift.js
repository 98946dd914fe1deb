// Drift: whether a version's live rows differ from its profile, or why nobody knows, and the distributions of both.

import { BarChart } from './chart.js';
import { build, clock, count, element, own, percent } from './cells.js';
import { select, sum } from './figures.js';

const OPEN = 6; // charts that are shown without a click

// What the counters say of a version.
export function driftOf(samples) {
  return (model, version) => {
    const chosen = { model, version }, distances = select(samples, 'onnxserve_drift', { ...chosen, stat: 'psi' });
    return {
      distances: new Map(distances.map(({ labels, value }) => [labels.measure, value])),
      worst: distances.sort((a, b) => b.value - a.value)[0],
      alarms: sum(samples, 'onnxserve_drift_alarms_total', chosen), windows: sum(samples, 'onnxserve_drift_windows_total', chosen),
    };
  };
}

// A sentence about a version's drift, and whether it is good or bad.
export function verdict(row) {
  const few = row.evidence?.drift_profile;
  if (few && few.certify < few.needed) {
    return [`not judged: ${few.certify} certify ${few.unit} are too few, about ${few.wanted} ${few.unit} in all would do`, 'soft'];
  }
  if (row.drift && row.drift !== 'judged') return [`not judged: ${row.drift}`, 'soft'];
  if (!row.windows) return ['not judged yet', 'soft'];
  const worst = row.worst ? `PSI ${row.worst.value.toFixed(3)} (${row.worst.labels.measure}); ` : '';
  return [`${worst}${row.alarms} of ${row.windows} windows raise an alarm`, row.alarms ? 'bad' : 'good'];
}

// Draws each measure's distribution in the profile, and beside it that of the last window.
export class DriftSection {
  constructor() {
    this.state = element('p');
    this.about = element('p', '', 'soft');
    this.open = build('div', { className: 'charts small' });
    this.rest = build('div', { className: 'charts small' });
    this.fold = build('details', {}, element('summary', 'All measures'), this.rest);
    this.node = build('div', {}, this.state, this.about, this.open, this.fold);
    this.charts = [];
    this.fold.addEventListener('toggle', () => this.show());
  }

  // Takes a version's row, its page as the service sent it, or null, and what the counters say.
  set(row, page) {
    const [text, kind] = verdict(row), profile = page?.profile, window = page?.window;
    this.state.textContent = text;
    this.state.className = kind;
    this.about.textContent = profile ? about(profile, window, row.windows) : '';
    const shapes = profile ? shapesOf(profile, window, row.distances) : [];
    this.clear();
    this.charts = shapes.map((shape) => [shape, chartOf(shape, Boolean(window))]);
    this.open.replaceChildren(...this.charts.slice(0, OPEN).map(([, chart]) => chart.node));
    this.rest.replaceChildren(...this.charts.slice(OPEN).map(([, chart]) => chart.node));
    this.fold.hidden = this.charts.length <= OPEN;
    this.show();
  }

  // Canvases need a width, so charts behind the fold are drawn when it opens.
  show() {
    const shown = this.fold.open ? this.charts : this.charts.slice(0, OPEN);
    for (const [shape, chart] of shown) if (!chart.plot) chart.set(shape.columns);
  }

  clear() {
    for (const [, chart] of this.charts) chart.remove();
    this.charts = [];
  }
}

function about(profile, window, windows) {
  const reference = `Reference: ${count(profile.rows)} rows of the proof.`;
  if (!window && windows) return `${reference} The version's handlers, of an earlier release, keep no counts of live rows: export it again to see them here.`;
  if (!window) return `${reference} No window of live rows has been compared yet: one has 2,000 rows, or 200 to 2,000 of ten minutes.`;
  return `${reference} Seen: ${count(window.rows)} live rows of ${window.workers === 1 ? 'one worker' : `${window.workers} workers`}, until ${clock(window.closed)}.`;
}

// The distributions by measure, those that moved most first: names of the bins, and shares in percent.
export function shapesOf(profile, window, distances = new Map()) {
  const shapes = Object.entries(profile.measures || {}).map(([name, { edges, counts }]) => shape(name, bins(edges), counts, own(window?.measures, name), distances.get(name)));
  const labels = Object.entries(profile.labels || {});
  if (labels.length) {
    const seen = window && [...labels.map(([label]) => own(window.labels, label) || 0), window.unknown];
    shapes.push(shape('label', [...labels.map(([label]) => label), 'other'], [...labels.map(([, value]) => value), 0], seen, distances.get('label')));
  }
  return shapes.sort((a, b) => (b.distance ?? -1) - (a.distance ?? -1));
}

function shape(measure, names, reference, seen, distance) {
  const columns = [names.map((_, at) => at), shares(reference)];
  return { measure, names, distance, columns: seen?.length === reference.length ? [...columns, shares(seen)] : [...columns, names.map(() => null)] };
}

function shares(counts) {
  const total = counts.reduce((all, value) => all + value, 0);
  return counts.map((value) => (total ? (100 * value) / total : 0));
}

function bins(edges) {
  const texts = edges.map((edge) => String(Number(edge.toPrecision(3))));
  if (!texts.length) return ['all'];
  return [`below ${texts[0]}`, ...texts.slice(1).map((text, at) => `${texts[at]} to ${text}`), `from ${texts.at(-1)}`];
}

function chartOf({ measure, names, distance }, seen) {
  const label = distance === undefined ? measure : `${measure}, PSI ${distance.toFixed(3)}`;
  const series = [{ label: 'reference', ink: 'faint' }, { label: seen ? 'seen' : 'seen: none yet', ink: 'first' }];
  return new BarChart({ label, names, series, height: 130, format: (value) => percent(value / 100, value < 10 ? 1 : 0) });
}
