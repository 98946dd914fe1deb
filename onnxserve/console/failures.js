// Errors by kind, as the gateway and the workers have counted them since the server started.

import { build, count, element, keep, write } from './cells.js';
import { select } from './figures.js';

export function failuresOf(samples, model) {
  const kinds = new Map();
  const add = (kind, place, value) => kinds.set(`${kind} ${place}`, { kind, place, value: (kinds.get(`${kind} ${place}`)?.value || 0) + value });
  for (const { labels, value } of select(samples, 'onnxserve_gateway_refusals_total', { model })) add(labels.type, 'gateway', value);
  for (const { labels, value } of select(samples, 'onnxserve_requests_total', { model })) {
    if (labels.outcome !== 'ok') add(labels.outcome, `version ${labels.version}`, value);
  }
  return [...kinds.values()].filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
}

export function drawFailures(list, failures) {
  const most = Math.max(1, ...failures.map(({ value }) => value)), none = { kind: 'no error', place: 'since the server started', value: 0 };
  keep(list, failures.length ? failures : [none], ({ kind, place }) => `${kind} ${place}`, create, (item, failure) => update(item, failure, most));
}

function create({ kind, place }) {
  const meter = build('div', { className: 'bar' }, element('span'));
  return build('li', {}, build('p', {}, element('code', kind), ' ', element('span', place, 'soft'), ' ', element('b')), meter);
}

function update(item, { value }, most) {
  write(item.querySelector('b'), value ? count(value) : '');
  item.querySelector('.bar').hidden = !value;
  item.querySelector('.bar span').style.width = `${(100 * value) / most}%`;
}
