// What a request may ask for beside its rows, such as the scores of more labels: a field for each of the task's
// parameters.

import { labelled, node } from './nodes.js';

const WORDS = new Map([['top_k', 'labels with scores (0 for all)'], ['dimensions', 'numbers of the vector']]);
const TOP_LABELS = 10;

export class ParameterFields {
  constructor(schemas = {}) {
    this.fields = Object.entries(schemas).map(([name, schema]) => field(name, schema));
    this.elements = this.fields.map((control) => labelled(WORDS.get(control.name) || control.name, control));
  }

  // The parameters that aren't empty, null if all are.
  get value() {
    const chosen = this.fields.filter((control) => control.value !== '');
    return chosen.length ? Object.fromEntries(chosen.map((control) => [control.name, valueOf(control)])) : null;
  }

  control(name) { return this.fields.find((control) => control.name === name) || null; }
}

function field(name, { enum: choices, type, minimum }) {
  if (choices) return node('select', { name }, new Option('all', ''), ...choices.map((choice) => new Option(choice, JSON.stringify(choice))));
  if (type !== 'integer' && type !== 'number') return node('input', { name, type: 'text' });
  return node('input', { name, type: 'number', min: minimum ?? '', value: name === 'top_k' ? TOP_LABELS : '' });
}

function valueOf({ tagName, type, value }) {
  if (tagName === 'SELECT') return JSON.parse(value);
  return type === 'number' ? Number(value) : value;
}
