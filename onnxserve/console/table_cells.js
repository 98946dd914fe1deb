// One column of a table in the playground: its field by the column's type, and the field's value as JSON.

import { element } from './cells.js';

const NUMBERS = ['number', 'integer'];

export class Cell {
  constructor(column) {
    this.column = column;
    this.field = this.choices ? this.select() : this.input();
    this.label = element('label', column.name);
    this.label.append(this.field);
  }

  get choices() {
    const { type, categories } = this.column;
    return type === 'boolean' ? ['true', 'false'] : categories?.length && (this.column.unknown ?? 'refuse') === 'refuse' ? categories : null;
  }

  select() {
    const field = Object.assign(document.createElement('select'), { name: this.column.name });
    field.append(...this.choices.map((choice) => new Option(choice)));
    if (this.column.nullable) field.append(new Option('null', ''));
    return field;
  }

  input() {
    const { name, type, minimum, maximum, categories, unit, nullable } = this.column;
    const field = Object.assign(document.createElement('input'), { name, type: 'text', value: categories?.[0] ?? '1', required: !nullable });
    if (NUMBERS.includes(type)) Object.assign(field, { type: 'number', min: minimum ?? '', max: maximum ?? '', step: type === 'integer' ? 1 : 'any', value: Math.min(Math.max(1, minimum ?? 1), maximum ?? Infinity) });
    if (type === 'date') Object.assign(field, { type: unit === 'seconds' ? 'datetime-local' : 'date', value: unit === 'seconds' ? '2024-02-29T12:00' : '2024-02-29' });
    return field;
  }

  // An empty field of a column that takes null is null; a key of the feature store is a number or a text.
  get value() {
    const { type, nullable } = this.column, text = this.field.value;
    if (nullable && text === '') return null;
    if (type === 'boolean') return text === 'true';
    if (NUMBERS.includes(type)) return Number(text);
    return type === 'key' && /^\d+$/.test(text) ? Number(text) : text;
  }
}
