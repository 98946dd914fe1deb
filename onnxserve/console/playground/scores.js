// Scores as bars, the best first.

import { node } from './nodes.js';

const DIGITS = 4;

// Returns a list of bars of `[name, score]`. `chosen` are the names that the prediction has; `colours` may give one for
// each name, as drawn over a picture.
export function bars(entries, { chosen = [], most = 20, colours = new Map() } = {}) {
  const list = node('ol', { className: 'scores' }, ...entries.slice(0, most).map(([name, score]) => bar(name, score, chosen.includes(name), colours.get(name))));
  if (entries.length > most) list.append(node('li', { className: 'soft' }, `and ${entries.length - most} more`));
  return list;
}

function bar(name, score, isChosen, colour) {
  const fill = node('span'), line = node('li', { className: isChosen ? 'chosen' : '' });
  fill.style.width = `${100 * Math.max(0, Math.min(1, score))}%`;
  if (colour) fill.style.background = colour;
  line.append(node('span', { className: 'name' }, name), node('span', { className: 'meter', ariaHidden: 'true' }, fill), node('span', { className: 'n' }, score.toFixed(DIGITS)));
  return line;
}
