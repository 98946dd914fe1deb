// What was proven of each version, one row each.

import { cell, element, number, percent } from './cells.js';

export function proven(one) {
  return Boolean(one.evidence);
}

export function proofRow(one) {
  const row = document.createElement('tr'), found = one.evidence, judged = found.bound !== undefined;
  row.append(Object.assign(element('th', one.name), { scope: 'row' }), element('td', one.version));
  row.append(number(judged ? found.rows : null, 0));
  for (const name of ['reference_accuracy', 'accuracy', 'bound', 'budget', 'flips']) {
    row.append(cell(judged ? percent(found[name]) : '–', 'n'));
  }
  row.append(cell(small(found.worst_parity), 'n'), cell(small(one.golden), 'n'));
  const digest = element('code', (found.model_sha256 || '').slice(0, 12));
  digest.title = found.model_sha256 || '';
  row.append(element('td', ''));
  row.lastChild.append(digest);
  return row;
}

function small(value) {
  return value === undefined ? '–' : value.toExponential(1);
}
