// Predictions as a person reads them, by what they have; the JSON stands below.

import { node } from './nodes.js';
import { colour, drawn } from './picture.js';
import { described } from './refusals.js';
import { bars } from './scores.js';
import { marked } from './spans.js';

const FIRST_VALUES = 8, BARS_OF_MANY = 3;

// Returns elements for an answer's predictions. `rows` are those that were sent, `image` the chosen picture if there is
// one, `labels` and `task` the model's.
export async function shownPredictions(predictions, { rows = [], image = null, labels = [], task = '' }) {
  if (!Array.isArray(predictions)) return [];
  if (task === 'rerank' && predictions.length > 1) return [ranking(predictions, rows)];
  const isAlone = predictions.length === 1, context = { image, labels, most: isAlone ? undefined : BARS_OF_MANY };
  const shown = await Promise.all(predictions.map((prediction, place) => shownPrediction(prediction, { ...context, row: rows[place] })));
  if (isAlone) return shown[0];
  return [node('ol', { className: 'rows' }, ...shown.map((parts) => node('li', {}, ...parts)))];
}

async function shownPrediction(prediction, { row, image, labels, most }) {
  const { error, label, labels: names, score, scores, spans, embedding, values, outputs, objects, shares } = prediction || {};
  if (error) return [node('p', { className: 'refusal' }, ...described(error))];
  const colours = new Map(labels.map((name, place) => [name, colour(place)]));
  const canvas = image && await drawn(image, prediction, labels), picture = canvas ? [canvas] : [];
  if (objects) return [...picture, bars(objects.map((object) => [object.label, object.score]), { colours })];
  if (shares) return [...picture, bars(sorted(shares), { colours })];
  if (spans) return [marked(row?.text ?? row ?? '', spans), bars(spans.map((span) => [`${span.text ?? `${span.start} to ${span.end}`} (${span.label})`, span.score]))];
  if (names || label !== undefined) return shownLabels(names || [label], scores || { [label]: score }, most);
  if (embedding) return vector(embedding);
  if (values) return [figures(values)];
  if (outputs) return Object.entries(outputs).flatMap(([name, each]) => [node('h4', {}, name), ...tensor(each)]);
  return score === undefined ? [] : [node('p', { className: 'figure' }, String(score))];
}

function shownLabels(names, scores, most) {
  const title = node('p', { className: 'figure' }, names.join(', ') || 'no label');
  return [title, bars(sorted(scores), { chosen: names, most })];
}

// A query's documents, the most relevant first.
function ranking(predictions, rows) {
  const order = predictions.map((prediction, place) => ({ ...prediction, text: rows[place]?.text_pair ?? `document ${place + 1}` }));
  order.sort((left, right) => (right.score ?? -Infinity) - (left.score ?? -Infinity));
  const line = ({ text, score, error }) => node('li', {}, node('span', {}, text), ' ', ...(error ? described(error) : [node('b', { className: 'n' }, score.toFixed(4))]));
  return node('ol', { className: 'ranking' }, ...order.map(line));
}

function vector(values) {
  const size = Math.hypot(...values).toPrecision(4);
  return [node('p', { className: 'figure' }, `${values.length} numbers`), node('p', { className: 'soft' }, `length ${size}; it begins with`), figures(values)];
}

function figures(values) {
  const first = values.slice(0, FIRST_VALUES).map((value) => Number(value.toPrecision(5))), more = values.length - first.length;
  return node('p', { className: values.length === 1 ? 'values figure' : 'values' }, node('code', {}, first.join('  ')), more > 0 ? ` and ${more} more` : '');
}

// A nested list, or one value: its shape and its first values.
function tensor(nested) {
  const shape = [], flat = Array.isArray(nested) ? nested.flat(Infinity) : [nested];
  for (let part = nested; Array.isArray(part); [part] = part) shape.push(part.length);
  const size = node('p', { className: 'soft' }, shape.length ? `shape ${shape.join(' × ')}` : 'one value');
  return [size, flat.every((value) => typeof value === 'number') ? figures(flat) : node('code', {}, flat.slice(0, FIRST_VALUES).join('  '))];
}

function sorted(scores) {
  return Object.entries(scores).sort(([, left], [, right]) => right - left);
}
