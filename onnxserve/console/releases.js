// The release history as a timeline, the newest event first.

import { build, element, keep } from './cells.js';

const KINDS = new Map([['rollback', 'bad'], ['promote', 'good'], ['canary', 'warn'], ['shadow', 'warn']]); // by action

export function parseReleases(text) {
  const events = [];
  for (const line of text.split('\n').filter(Boolean)) {
    try {
      const event = JSON.parse(line);
      if (isEvent(event)) events.push(event);
    } catch { /* a line that a crash cut short */ }
  }
  return events.map((event, at) => ({ ...event, key: `${at} ${event.time}` })).reverse();
}

function isEvent(event) {
  const { time, model, action, version, changes = [] } = event || {};
  return Array.isArray(changes) && [time, model, action, version, ...changes].every((part) => typeof part === 'string');
}

export function drawReleases(list, events, most) {
  const shown = events.slice(0, most), none = { key: 'none' };
  keep(list, shown.length ? shown : [none], ({ key }) => key, create, () => {});
}

function create(event) {
  if (event.key === 'none') return element('li', 'no release yet', 'soft');
  const time = build('time', { dateTime: event.time, title: event.time, textContent: new Date(event.time).toLocaleString() });
  const what = build('p', {}, element('b', `${event.action} ${event.model} ${event.version}`.trim()), ' ', build('span', { className: 'soft' }, time, event.by ? ` by ${event.by}` : ''));
  const changes = build('ul', {}, ...(event.changes || []).map((change) => element('li', change.startsWith(`${event.model} `) ? change.slice(event.model.length + 1) : change)));
  const item = build('li', { className: KINDS.get(event.action) || '' }, what);
  if (event.changes?.length) item.append(changes);
  return item;
}

