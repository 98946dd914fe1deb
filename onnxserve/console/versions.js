// The versions of a model: roles and traffic, workers, speed and drift of each, and the steps that an operator may take.

import { build, element, keep, milliseconds, percent, rate, terms, write } from './cells.js';
import { planCanary, planStep } from './dialog.js';
import { verdict } from './drift.js';
import { roleOf } from './model.js';
import { claim } from './overview.js';
import { isOperator } from './service.js';

const NUMBERS = ['workers', 'requests/s', 'median', '99 %', 'failed'];

export function drawVersions(list, model, traffic, done) {
  keep(list, model.versions, ({ version }) => version, (row) => create(model.name, row.version, done), (item, row) => update(item, model, row, traffic));
}

function create(name, version, done) {
  const numbers = terms('numbers', NUMBERS.map((label) => [label]));
  const canary = action('Canary…', `canary ${name} ${version}`, () => planCanary(name, version, done));
  const promote = action('Promote…', `promote ${name} ${version}`, () => planStep({ action: 'promote', model: name, version }, `Promote ${name} ${version}`, done));
  return build('li', { className: 'card' },
    build('div', { className: 'head' }, element('h3', version), element('span', '', 'tag')),
    build('div', { className: 'bar' }, element('span')), numbers,
    element('p', '', 'proof'), element('p', '', 'drift'), build('p', { className: 'buttons' }, canary, promote));
}

function action(text, label, act) {
  const node = build('button', { type: 'button', className: 'quiet', textContent: text });
  node.setAttribute('aria-label', label);
  node.addEventListener('click', act);
  return node;
}

function update(item, model, row, traffic) {
  const role = roleOf(model, row.version), now = traffic.recent(model.name, row.version), [drift, kind] = verdict(row);
  write(item.querySelector('.tag'), role.text);
  item.querySelector('.bar span').style.width = `${role.share}%`;
  const texts = [`${row.ready} of ${row.workers}`, rate(now.rate), milliseconds(now.p50), milliseconds(now.p99), percent(now.failed, 1)];
  const kinds = [row.ready && row.ready === row.workers ? 'good' : 'bad', '', '', '', now.failed > 0.01 ? 'bad' : ''];
  item.querySelectorAll('.numbers b').forEach((node, at) => { write(node, texts[at]); node.className = kinds[at]; });
  write(item.querySelector('.proof'), claim(row));
  write(item.querySelector('.drift'), `drift ${drift}`);
  item.querySelector('.drift').className = `drift ${kind}`;
  item.querySelector('.buttons').hidden = !isOperator(model.name) || role.names.includes('stable');
}
