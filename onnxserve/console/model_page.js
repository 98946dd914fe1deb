// The page of one model: versions, traffic over time, errors, proof, drift, releases and the prediction log.

import { LineChart } from './chart.js';
import { build, element, keep, milliseconds, rate, write } from './cells.js';
import { planStep } from './dialog.js';
import { DriftSection } from './drift.js';
import { drawFailures, failuresOf } from './failures.js';
import { health } from './model.js';
import { PredictionsSection } from './predictions.js';
import { ProofSection } from './proof.js';
import { drawReleases } from './releases.js';
import { ask, isOperator } from './service.js';
import { drawVersions } from './versions.js';

const SPANS = [['5 minutes', 60], ['15 minutes', 180], ['hour', 720]];
const PAGE_MS = 15000, RELEASES = 50;
const PERCENTILES = [['median', 'p50', 'first'], ['90 %', 'p90', 'second'], ['99 %', 'p99', 'third']];

export class ModelPage {
  // `redraw` draws the page again; `refresh` asks the server before.
  constructor(host, name, redraw, refresh) {
    Object.assign(this, { host, name, redraw, refresh, page: null, asked: 0, drawn: '' });
    this.title = element('h1', name);
    this.badge = element('span', '', 'health');
    this.reason = element('p', '', 'soft');
    this.rollback = build('button', { type: 'button', className: 'quiet', textContent: 'Roll back…' });
    this.rollback.addEventListener('click', () => planStep({ action: 'rollback', model: name }, `Roll back ${name}`, refresh));
    this.versions = element('ul', '', 'cards');
    this.version = build('select', { id: 'chart-version' });
    this.span = build('select', { id: 'chart-span' }, ...SPANS.map(([text, steps]) => new Option(`last ${text}`, steps)));
    for (const select of [this.version, this.span]) select.addEventListener('change', () => { this.asked = 0; redraw(); });
    this.rates = new LineChart({ label: 'Requests per second', format: rate, series: [{ label: 'answered', ink: 'first' }, { label: 'failed', ink: 'bad' }, { label: 'refused', ink: 'second' }] });
    this.times = new LineChart({ label: 'Latency', format: milliseconds, series: PERCENTILES.map(([label, , ink]) => ({ label, ink })) });
    this.failures = element('ul', '', 'failures');
    this.proof = new ProofSection();
    this.drift = new DriftSection();
    this.history = element('ol', '', 'timeline');
    this.predictions = new PredictionsSection(name);
    this.lay();
  }

  lay() {
    const back = build('a', { href: '#/', textContent: '← all models' });
    const choice = build('p', { className: 'fields' },
      build('label', {}, 'version ', this.version), build('label', {}, 'time ', this.span));
    this.host.replaceChildren(
      build('div', { className: 'title' }, back, build('div', { className: 'head' }, this.title, this.badge, this.rollback), this.reason),
      section('Versions', this.versions), section('Traffic', choice, build('div', { className: 'charts' }, this.rates.node, this.times.node),
        element('p', 'Dashed lines mark releases.', 'soft')),
      section('Errors', this.failures), section('Proof', this.proof.node), section('Drift', this.drift.node),
      section('Releases', this.history), section('Prediction log', this.predictions.node));
  }

  // Draws the newest state; false if the server has no such model.
  update(view) {
    const model = view.models.find(({ name }) => name === this.name);
    if (!model) return false;
    this.head(model, view.traffic);
    drawVersions(this.versions, model, view.traffic, this.refresh);
    keep(this.version, model.versions, ({ version }) => version, ({ version }) => new Option(version, version, false, version === model.stable), () => {});
    const row = model.versions.find(({ version }) => version === this.version.value) || model.versions[0];
    const releases = view.releases.filter((event) => event.model === this.name);
    for (const chart of [this.rates, this.times]) chart.marks = releases.map(({ time }) => Date.parse(time) / 1000);
    if (row) this.details(row, view);
    drawFailures(this.failures, failuresOf(view.samples, this.name));
    drawReleases(this.history, releases, RELEASES);
    return true;
  }

  head(model, traffic) {
    const state = health(model, traffic);
    write(this.badge, state.word);
    this.badge.className = `health ${state.kind}`;
    write(this.reason, state.reason);
    this.rollback.hidden = !isOperator(this.name) || !(model.roles.canary || model.roles.fallback);
  }

  details(row, view) {
    const { times, answers, failed, refused, ...latency } = view.traffic.columns(this.name, row.version, Number(this.span.value));
    this.rates.set([times, answers, failed, refused]);
    this.times.set([times, ...PERCENTILES.map(([, column]) => latency[column])]);
    this.fetch(row);
    const page = this.page?.version === row.version ? this.page : null;
    this.proof.set(row, page);
    this.predictions.set(row.version, page?.failed ? null : page);
    const content = JSON.stringify([row.version, row.windows, page?.window?.closed, Boolean(page)]);
    if (content !== this.drawn) this.drift.set(row, page);
    this.drawn = content;
  }

  // Asks the service now and then, which reads the archive.
  async fetch({ version }) {
    if (performance.now() - this.asked < PAGE_MS && this.asked) return;
    this.asked = performance.now();
    const failed = ({ message }) => ({ failed: true, reason: `evidence and distributions are not shown: ${message}` });
    const page = await ask('version', { model: this.name, version }).catch(failed);
    if (this.version.value !== version) return; // another version was chosen meanwhile
    this.page = { version, ...page };
    this.redraw();
  }

  remove() {
    for (const chart of [this.rates, this.times]) chart.remove();
    for (const [chart] of this.proof.charts) chart.remove();
    this.drift.clear();
    this.host.replaceChildren();
  }
}

function section(title, ...content) {
  const id = `title-${title.toLowerCase().replaceAll(' ', '-')}`, node = build('section', {}, build('h2', { id, textContent: title }), ...content);
  node.setAttribute('aria-labelledby', id);
  return node;
}
