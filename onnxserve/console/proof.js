// The proof of a version: what it claims in one sentence, its numbers, and plots of what was measured.

import { BarChart } from './chart.js';
import { build, element, percent, terms } from './cells.js';

const SMALLEST = 1e-9; // a logarithmic axis has no zero

export class ProofSection {
  constructor() {
    this.node = build('div');
    this.charts = [];
    this.shown = '';
  }

  // Takes a version's row and its page as the service sent it, or null.
  set(row, page) {
    const content = JSON.stringify([row.evidence, row.golden, Boolean(page)]);
    if (content === this.shown) return;
    this.shown = content;
    for (const [chart] of this.charts) chart.remove();
    this.charts = page?.evidence ? [lossChart(page.evidence), parityChart(page.evidence)].filter(Boolean) : [];
    const plots = build('div', { className: 'charts' }, ...this.charts.map(([chart]) => chart.node));
    this.node.replaceChildren(element('p', sentence(row.evidence), 'lead'), row.evidence ? terms('facts', facts(row)) : '', plots, reason(page));
    for (const [chart, columns] of this.charts) chart.set(columns);
  }
}

function reason(page) {
  return page?.reason ? element('p', page.reason, 'soft') : '';
}

function sentence(evidence) {
  if (!evidence) return 'Nothing is known of how far its answers are from those of its source.';
  if (evidence.proof === 'unproven') return 'Unproven: nothing stands behind its answers.';
  if (evidence.proof === 'parity' || evidence.bound === undefined) return 'It answers every row that was compared as its source does; nothing is claimed of other rows.';
  return `On ${evidence.rows} ${evidence.unit || 'rows'} that nothing was fitted to, it loses at most ${percent(evidence.bound)} against its source, with 95 % confidence; ${percent(evidence.budget)} is allowed.`;
}

function facts({ evidence, golden, signature, provider }) {
  const certified = evidence.bound !== undefined, digest = element('code', String(evidence.model_sha256 || '').slice(0, 12));
  digest.title = evidence.model_sha256 || '';
  const measured = certified ? [
    ['rows', String(evidence.rows)], ['source', percent(evidence.reference_accuracy)], ['graph', percent(evidence.accuracy)],
    ['loses at most', percent(evidence.bound)], ['allowed', percent(evidence.budget)], ['answers differ', percent(evidence.flips)],
  ] : [];
  return [
    ['proof', [evidence.draft && 'draft', evidence.proof || 'certified'].filter(Boolean).join(', '), evidence.proof === 'unproven' ? 'bad' : ''],
    ['graph runs as', [signature?.variant, provider].filter(Boolean).join(' on ') || 'unknown'], ...measured,
    ['traced graph off by', small(evidence.worst_parity)], ['golden rows off by', small(golden)], ["graph's SHA-256", digest],
  ];
}

function small(value) {
  return isNumber(value) ? value.toExponential(1) : '–';
}

// JSON has `null` for a number that isn't finite: it is no small one.
function isNumber(value) {
  return typeof value === 'number';
}

// What each variant that was tried loses, and the limit.
function lossChart({ summary, variants = [] }) {
  const tried = variants.map((variant) => ({ name: variant.variant, ...(variant.paired || variant.select) })).filter(({ bound }) => isNumber(bound));
  if (!tried.length) return null;
  const names = tried.map(({ name }) => name), share = (value) => (isNumber(value) ? 100 * Math.max(0, value) : null);
  const series = [{ label: 'loss that was seen', ink: 'faint' }, { label: 'loses at most', ink: 'first' }, { label: 'allowed', ink: 'second', line: true }];
  const chart = new BarChart({ label: 'Loss of each variant', names, series, format: (value) => percent(value / 100, 1) });
  return [chart, [names.map((_, at) => at), tried.map(({ drop }) => share(drop)), tried.map(({ bound }) => share(bound)), names.map(() => share(summary.budget))]];
}

// How far the traced graph is from its source, by the size of the batch and the length of its rows.
function parityChart({ parity = [] }) {
  if (!parity.some(({ deviation }) => isNumber(deviation))) return null;
  const names = parity.map(({ group }) => group), series = [{ label: 'largest deviation, in spreads of the outputs', ink: 'first' }];
  const chart = new BarChart({ label: 'Deviation from the source, by batch', names, series, log: true, format: (value) => (value === null ? '' : value.toExponential(0)) });
  return [chart, [names.map((_, at) => at), parity.map(({ deviation }) => (isNumber(deviation) ? Math.max(SMALLEST, deviation) : null))]];
}
