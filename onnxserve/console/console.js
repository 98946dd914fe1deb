// The console: it asks the server every few seconds, and draws the overview or the page of a model.

import { redraw } from './chart.js';
import { write } from './cells.js';
import { startOperator } from './dialog.js';
import { driftOf } from './drift.js';
import { parse } from './figures.js';
import { models } from './model.js';
import { ModelPage } from './model_page.js';
import { drawOverview } from './overview.js';
import { Playground } from './playground.js';
import { drawReleases, parseReleases } from './releases.js';
import { isOperator, operator } from './service.js';
import { startTheme } from './theme.js';
import { Traffic } from './traffic.js';

const PERIOD_MS = 3000, RELEASES = 20, HISTORY_BYTES = 262144, // of the end of the history, which only grows
  MODEL = /^#\/models\/(.+)$/;
const traffic = new Traffic();
let view = null, playground = null, page = null;

async function get(path, kind, headers = {}) {
  const reply = await fetch(path, { cache: 'no-store', headers });
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return kind === 'json' ? reply.json() : reply.text();
}

async function look() {
  const [about, counters, recent, releases] = await Promise.all([
    get('data/models.json', 'json'), get('/metrics').catch(() => null),
    get(`data/traffic.json?since=${traffic.last}`, 'json').catch(() => null), get('data/releases.jsonl', 'text', { range: `bytes=-${HISTORY_BYTES}` }).catch(() => ''),
  ]);
  if (recent) traffic.merge(recent);
  const samples = parse(counters || '');
  view = { traffic, samples, models: models(about, driftOf(samples)), releases: parseReleases(releases) };
  document.body.dataset.url = about.url;
  draw();
  play(view.models);
  const missing = counters === null ? '; no counters' : '';
  write(document.getElementById('state'), `${about.models.length} versions, seen ${new Date().toLocaleTimeString()}${missing}`);
}

function draw() {
  if (!view) return;
  const name = MODEL.exec(location.hash)?.[1], overview = document.getElementById('overview');
  if (page && page.name !== decoded(name)) { page.remove(); page = null; }
  overview.hidden = Boolean(name);
  document.getElementById('model').hidden = !name;
  document.title = name ? `${decoded(name)} – onnxserve` : 'onnxserve';
  if (name) {
    page ||= new ModelPage(document.getElementById('model'), decoded(name), draw, look);
    if (!page.update(view)) location.hash = '#/';
  } else {
    drawOverview(view);
    drawReleases(document.getElementById('history'), view.releases, RELEASES);
  }
  write(document.getElementById('access'), isOperator()
    ? `Steps are recorded as made by ${operator.client}.` : 'Read only: an operator’s key, or onnxserve release, changes what is served.');
}

function decoded(name) {
  try { return name && decodeURIComponent(name); } catch { return name; }
}

// The playground gets the stable versions that describe themselves, which they do while one of their workers is ready.
function play(all) {
  const stable = all.map((model) => [model.name, described(model) || playground?.models.get(model.name)]).filter(([, model]) => model);
  if (playground) playground.update(new Map(stable));
  else if (stable.length) playground = new Playground(new Map(stable));
}

function described({ stable, versions }) {
  const { evidence, signature, schema, parameters, answer } = versions.find(({ version }) => version === stable) || {};
  return evidence && { signature, schema, parameters, answer };
}

async function forever() {
  try {
    await look();
  } catch (error) {
    write(document.getElementById('state'), `can't refresh: ${error.message}`);
  }
  setTimeout(forever, PERIOD_MS);
}

addEventListener('hashchange', () => { draw(); scrollTo(0, 0); document.getElementById('main').focus({ preventScroll: true }); });
startTheme(document.getElementById('theme'), redraw);
startOperator(document.getElementById('operator'), draw);
forever();
