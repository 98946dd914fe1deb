// The overview: a card per model with its state, traffic and proof.

import { Sparkline } from './chart.js';
import { build, element, keep, milliseconds, percent, rate, terms, write } from './cells.js';
import { health, roleOf } from './model.js';

const SPARK_STEPS = 60, sparklines = new WeakMap();

export function drawOverview(view) {
  write(document.getElementById('summary'), summary(view.models.map((model) => [model.name, health(model, view.traffic)])));
  keep(document.getElementById('models'), view.models, (model) => model.name, createCard, (card, model) => updateCard(card, model, view.traffic));
}

function summary(states) {
  const others = states.filter(([, { kind }]) => kind !== 'good').map(([name, { word }]) => `${name} is ${word}`);
  if (!states.length) return '';
  return others.length ? `${others.join(', ')}; ${states.length - others.length} of ${states.length} healthy` : `all ${states.length} are healthy`;
}

function createCard(model) {
  const title = build('h2', {}, build('a', { href: `#/models/${encodeURIComponent(model.name)}`, textContent: model.name }));
  const numbers = terms('numbers', [['requests/s'], ['median'], ['99 %'], ['failed']]);
  const card = build('li', { className: 'card' },
    build('div', { className: 'head' }, title, element('span', '', 'health')), element('p', '', 'serving'),
    element('div', '', 'spark'), numbers, element('p', '', 'proof soft'));
  sparklines.set(card, new Sparkline(card.querySelector('.spark')));
  return card;
}

function updateCard(card, model, traffic) {
  const state = health(model, traffic), now = traffic.recent(model.name, model.stable), badge = card.querySelector('.health');
  write(badge, state.word);
  badge.className = `health ${state.kind}`;
  badge.title = state.reason;
  write(card.querySelector('.serving'), serving(model) + (state.reason ? ` – ${state.reason}` : ''));
  const columns = model.versions.map(({ version }) => traffic.columns(model.name, version, SPARK_STEPS));
  const times = traffic.numbers(SPARK_STEPS).map((number) => number * traffic.step);
  const totals = times.map((_, at) => columns.reduce((sum, { answers }) => sum + answers[at], 0));
  sparklines.get(card).set([times, totals]);
  const all = model.versions.reduce((sum, { version }) => sum + traffic.recent(model.name, version).rate, 0);
  const texts = [rate(all), milliseconds(now.p50), milliseconds(now.p99), percent(now.failed, 1)];
  card.querySelectorAll('.numbers b').forEach((node, at) => write(node, texts[at]));
  write(card.querySelector('.proof'), claim(model.versions.find(({ version }) => version === model.stable)));
}

function serving(model) {
  const others = model.versions.map(({ version }) => [version, roleOf(model, version).names.filter((name) => name !== 'fallback')]);
  const parts = others.filter(([version, names]) => version !== model.stable && names.length).map(([version]) => `${version} ${roleOf(model, version).text}`);
  return [`${model.stable || 'no version'} serves`, ...parts].join(', ');
}

// What stands behind the answers of a version, in a few words.
export function claim(version) {
  const evidence = version?.evidence;
  if (!evidence) return version?.ready ? 'no evidence' : 'nothing known until a worker is ready';
  const variant = version.signature?.variant ? `${version.signature.variant}, ` : '';
  if (evidence.proof === 'unproven') return `${variant}unproven`;
  if (evidence.proof === 'parity' || evidence.bound === undefined) return `${variant}answers as its source does`;
  return `${variant}loses at most ${percent(evidence.bound)}, allowed ${percent(evidence.budget)}`;
}
