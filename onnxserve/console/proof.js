// The table of proofs, one row per version.

import { cell, element, number, percent } from './cells.js';

export function proven(version) {
  return Boolean(version.evidence);
}

export function proofRow(version) {
  const row = document.createElement('tr'), evidence = version.evidence, certified = evidence.bound !== undefined;
  row.append(Object.assign(element('th', version.name), { scope: 'row' }), element('td', version.version));
  row.append(cell(kind(evidence), evidence.proof === 'unproven' ? 'bad' : ''), number(certified ? evidence.rows : null, 0));
  for (const name of ['reference_accuracy', 'accuracy', 'bound', 'budget', 'flips']) {
    row.append(cell(certified ? percent(evidence[name]) : '–', 'n'));
  }
  row.append(cell(small(evidence.worst_parity), 'n'), cell(small(version.golden), 'n'));
  const digest = element('code', (evidence.model_sha256 || '').slice(0, 12));
  digest.title = evidence.model_sha256 || '';
  row.append(element('td', ''));
  row.lastChild.append(digest);
  return row;
}

function kind(evidence) {
  return [evidence.draft && 'draft', evidence.proof || 'certified'].filter(Boolean).join(', ');
}

function small(value) {
  return value === undefined ? '–' : value.toExponential(1);
}
