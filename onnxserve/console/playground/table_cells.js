// One column of a table: its field by the column's type, and a cell's text as JSON.

import { node } from './nodes.js';

const NUMBERS = ['number', 'integer'], BOOLEANS = new Map([['true', true], ['false', false]]);

export class Cell {
  constructor(column) {
    this.column = column;
    this.field = this.choices ? this.select() : this.input();
    this.label = node('label', {}, column.name, this.field);
  }

  get choices() {
    const { type, categories, unknown = 'refuse' } = this.column;
    if (type === 'boolean') return ['true', 'false'];
    return categories?.length && unknown === 'refuse' ? categories : null;
  }

  select() {
    const field = node('select', { name: this.column.name }, ...this.choices.map((choice) => new Option(choice)));
    if (this.column.nullable) field.append(new Option('null', ''));
    return field;
  }

  input() {
    const { name, type, minimum, maximum, categories, unit } = this.column;
    const field = node('input', { name, type: 'text', value: categories?.[0] ?? '1' });
    if (NUMBERS.includes(type)) Object.assign(field, { type: 'number', step: type === 'integer' ? 1 : 'any', value: Math.min(Math.max(1, minimum ?? 1), maximum ?? Infinity) });
    if (type === 'date') Object.assign(field, { type: unit === 'seconds' ? 'datetime-local' : 'date', value: unit === 'seconds' ? '2024-02-29T12:00' : '2024-02-29' });
    return field;
  }

  get value() { return cellValue(this.column, this.field.value); }
}

// Returns a cell's JSON value. What doesn't fit the column stays a text, since the server says best what is wrong with it.
export function cellValue({ type, nullable }, text) {
  if (text === '' && (nullable || NUMBERS.includes(type))) return null;
  if (type === 'boolean') return BOOLEANS.get(text.toLowerCase()) ?? text;
  if (NUMBERS.includes(type)) return Number.isNaN(Number(text)) ? text : Number(text);
  return type === 'key' && /^\d+$/.test(text) ? Number(text) : text; // a key of the feature store is a number or a text
}
