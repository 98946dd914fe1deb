// The spans of a text, marked in it.

import { colour } from './picture.js';
import { node } from './nodes.js';

// `text` is what was asked: a text, whose places are characters, or a list of words. Returns a paragraph.
export function marked(text, spans) {
  const units = [...text], space = Array.isArray(text) ? ' ' : '', names = [...new Set(spans.map(({ label }) => label))].sort();
  const paragraph = node('p', { className: 'spans' });
  let place = 0;
  for (const span of [...spans].sort((left, right) => left.start - right.start)) {
    if (span.start < place) continue; // it overlaps the one before
    paragraph.append(units.slice(place, span.start).join(space) + (span.start > place ? space : ''), mark(span, units.slice(span.start, span.end).join(space), names), space);
    place = span.end;
  }
  paragraph.append(units.slice(place).join(space));
  return spans.length ? paragraph : node('p', { className: 'soft' }, 'no span');
}

function mark({ label, score }, text, names) {
  const element = node('mark', { title: `${label} ${score.toFixed(2)}` }, text, node('small', {}, label));
  element.style.setProperty('--mark', colour(names.indexOf(label)));
  return element;
}
