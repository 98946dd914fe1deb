// A model as the page knows it: its versions with their roles, and how it fares.

import { own } from './cells.js';

const MUCH_FAILS = 0.01;
const ORDER = new Intl.Collator('en', { numeric: true });

// The models of the server's document, each with its versions and roles, and what the counters say of drift.
export function models(about, drift) {
  const names = [...new Set([...Object.keys(about.roles), ...about.models.map(({ name }) => name)])].sort();
  return names.map((name) => {
    const roles = own(about.roles, name) || {};
    const states = about.models.filter((state) => state.name === name); // in whatever order TorchServe has them
    const versions = states.map((state) => ({ ...state, ...drift(name, state.version) })).sort((a, b) => ORDER.compare(a.version, b.version));
    return { name, roles, stable: roles.stable || versions[0]?.version || '', versions };
  });
}

// The roles of a version: their names, the share of requests in percent, and both as text.
export function roleOf({ roles }, version) {
  const names = [], canary = roles.canary;
  if (roles.stable === version) names.push('stable');
  if (canary?.version === version) names.push('canary');
  if (roles.shadow?.version === version) names.push('shadow');
  if (roles.smaller === version) names.push('smaller');
  if (roles.fallback === version) names.push('fallback');
  const share = canary?.version === version ? canary.percent : roles.stable === version ? 100 - (canary?.percent || 0) : 0;
  const copies = roles.shadow?.version === version ? `, copies of ${roles.shadow.percent} %` : '';
  const text = `${names.join(', ') || 'loaded'}${share ? ` ${Number(share.toFixed(2))} %` : ''}${canary?.version === version && canary.auto ? ', automatic' : ''}${copies}`;
  return { names, share, text };
}

// How a model fares, in one word, with the reason if it isn't healthy.
export function health(model, traffic) {
  const stable = model.versions.find(({ version }) => version === model.stable);
  const judged = (kind, word, reason) => ({ kind, word, reason });
  if (!stable || !stable.ready) return judged('bad', 'down', 'no worker of the stable version is ready');
  const failing = model.versions.find(({ version }) => traffic.recent(model.name, version).failed > MUCH_FAILS);
  if (failing) return judged('bad', 'failing', `${failing.version} fails ${(100 * traffic.recent(model.name, failing.version).failed).toFixed(1)} % of its requests`);
  const short = model.versions.find(({ ready, workers }) => ready < workers);
  if (short) return judged('warn', 'degraded', `${short.version} has ${short.ready} of ${short.workers} workers`);
  if (traffic.recent(model.name, model.stable).refused > MUCH_FAILS) return judged('warn', 'overloaded', 'requests are refused');
  const drifting = model.versions.find(({ alarms }) => alarms > 1);
  if (drifting) return judged('warn', 'drifting', `live rows of ${drifting.version} differ from its proof's`);
  return judged('good', 'healthy', '');
}
