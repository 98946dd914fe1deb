// The console page: served versions, their speed, proof and drift; it refreshes every few seconds.

import { proofRow, proven } from './proof.js';
import { cell, element, number, percent } from './cells.js';
import { drift } from './drift.js';
import { increase, parse, quantile, sum } from './figures.js';
import { Playground } from './playground.js';

const PERIOD_MS = 3000, KEPT = 60;
const history = new Map(); // model version: requests per second in the last minutes
let last = null, playground = null;

async function get(path, kind) {
  const reply = await fetch(path, { cache: 'no-store' });
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return kind === 'json' ? reply.json() : reply.text();
}

async function look() {
  const [about, counters, releases] = await Promise.all([
    get('data/models.json', 'json'), get('/metrics').catch(() => null), get('data/releases.jsonl').catch(() => ''),
  ]);
  const now = { time: performance.now(), series: parse(counters || '') };
  draw(about, now, last || now);
  drawReleases(releases);
  last = now;
  document.getElementById('state').textContent = `${about.models.length} versions, seen ${new Date().toLocaleTimeString()}${counters === null ? '; no counters' : ''}`;
}

function draw(about, now, before) {
  document.body.dataset.url = about.url;
  const rows = about.models.map((version) => figures(version, about.roles, now, before));
  document.querySelector('#models tbody').replaceChildren(...rows.map(tableRow));
  document.querySelector('#proof tbody').replaceChildren(...about.models.filter(proven).map(proofRow));
  document.getElementById('live').replaceChildren(...rows.filter((row) => row.share > 0).map(graph));
  const known = playground?.models || {};
  const stable = about.models.filter((state) => state.version === about.roles[state.name]?.stable);
  const chosen = stable.map((state) => [state.name, described(state) || known[state.name]]).filter(([, model]) => model);
  const models = Object.fromEntries(chosen);
  if (playground) playground.update(models);
  else if (chosen.length) playground = new Playground(models);
}

// A version describes itself while one of its workers is ready.
function described({ evidence, signature, schema, parameters, answer }) {
  return evidence && { signature, schema, parameters, answer };
}

function figures(state, roles, now, before) {
  const model = roles[state.name] || {}, seconds = (now.time - before.time) / 1000 || 1;
  const key = `${state.name} ${state.version}`, chosen = { model: state.name, version: state.version };
  const answers = increase(before.series, now.series, 'onnxserve_gateway_requests_total', chosen);
  const failed = increase(before.series, now.series, 'onnxserve_gateway_requests_total', chosen, (labels) => labels.code >= '500');
  const distances = now.series.filter((s) => s.name === 'onnxserve_drift' && s.labels.stat === 'psi' && s.labels.model === state.name && s.labels.version === state.version);
  const rates = history.get(key) || [], times = 'onnxserve_gateway_request_seconds';
  rates.push(answers / seconds);
  history.set(key, rates.slice(-KEPT));
  return {
    ...state, ...tags(model, state.version), key, rate: answers / seconds, failed: answers ? failed / answers : 0,
    p50: milliseconds(quantile(before.series, now.series, times, chosen, 0.5)),
    p99: milliseconds(quantile(before.series, now.series, times, chosen, 0.99)),
    worst: distances.sort((a, b) => b.value - a.value)[0], alarms: sum(now.series, 'onnxserve_drift_alarms_total', chosen),
    windows: sum(now.series, 'onnxserve_drift_windows_total', chosen),
  };
}

function milliseconds(seconds) {
  return seconds === null ? null : 1000 * seconds;
}

function tags(model, version) {
  const canary = model.canary && model.canary.version === version, stable = model.stable === version;
  const shadow = model.shadow && model.shadow.version === version;
  const share = canary ? model.canary.percent : stable ? 100 - (model.canary ? model.canary.percent : 0) : 0;
  return { share, role: [stable && 'stable', canary && 'canary', shadow && 'shadow'].filter(Boolean).join(', ') || 'loaded' };
}

function tableRow(row) {
  const line = document.createElement('tr'), ready = row.ready === row.workers && row.ready > 0;
  const name = Object.assign(element('th', row.name), { scope: 'row' });
  line.append(name, element('td', row.version), traffic(row), cell(`${row.ready} of ${row.workers} ready`, ready ? 'good' : 'bad'));
  line.append(cell(graphOf(row)), proof(row.evidence));
  line.append(number(row.rate, 1), number(row.p50, 1), number(row.p99, 1), cell(percent(row.failed), row.failed > 0.01 ? 'n bad' : 'n'));
  line.append(drift(row));
  return line;
}

function graphOf(row) {
  if (row.signature) return `${row.signature.variant}, ${row.provider}`;
  return row.evidence ? 'unknown input' : '–';
}

function traffic(row) {
  const trafficCell = element('td'), tag = element('span', row.role), bar = element('div'), fill = element('span');
  tag.className = 'tag';
  bar.className = 'bar';
  fill.style.width = `${row.share}%`;
  bar.append(fill);
  trafficCell.append(tag, ` ${row.share} %`, bar);
  return trafficCell;
}

function proof(evidence) {
  if (!evidence) return cell('–');
  if (evidence.proof === 'unproven') return cell('unproven', 'bad');
  if (evidence.proof === 'parity' || evidence.bound === undefined) return cell(`parity ${deviation(evidence).toExponential(1)}`);
  return cell(`loses at most ${percent(evidence.bound)} of ${percent(evidence.reference_accuracy)}`);
}

function deviation(evidence) {
  return evidence.row_parity ? evidence.row_parity.deviation : evidence.worst_parity;
}

function graph(row) {
  const series = history.get(row.key) || [], top = Math.max(1, ...series);
  const points = series.map((value, at) => `${at ? 'L' : 'M'}${(at * 100) / Math.max(1, KEPT - 1)} ${30 - (28 * value) / top}`).join(' ');
  const figure = element('figure'), caption = element('figcaption', row.key);
  const now = element('span', ` ${row.rate.toFixed(1)} requests/s, p99 ${row.p99 === null ? '–' : row.p99.toFixed(1)} ms`);
  now.className = 'soft';
  caption.append(now);
  figure.innerHTML = '<svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img"><path/></svg>';
  figure.querySelector('svg').setAttribute('aria-label', `requests a second of ${row.key}, at most ${top.toFixed(1)}`);
  figure.querySelector('path').setAttribute('d', points);
  figure.prepend(caption);
  return figure;
}

function drawReleases(text) {
  const events = text.split('\n').filter(Boolean).map((line) => JSON.parse(line)).slice(-20).reverse();
  const list = document.getElementById('history');
  list.start = Math.max(1, events.length);
  list.replaceChildren(...events.map((event) => {
    const item = element('li', `${event.time} ${event.by}: `), what = element('b', `${event.action} ${event.model} ${event.version}`);
    item.append(what, event.changes.length ? ` — ${event.changes.join('; ')}` : '');
    return item;
  }));
  if (!events.length) list.replaceChildren(element('li', 'no release yet'));
}

async function forever() {
  try {
    await look();
  } catch (error) {
    document.getElementById('state').textContent = `can't refresh: ${error.message}`;
  }
  setTimeout(forever, PERIOD_MS);
}

forever();
