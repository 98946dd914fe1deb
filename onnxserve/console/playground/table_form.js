// Rows of a table: a field for each column, or several rows as pasted CSV.

import { table } from './csv.js';
import { labelled, node } from './nodes.js';
import { FormError } from './refusals.js';
import { Cell, cellValue } from './table_cells.js';

export class TableForm {
  constructor({ input, features }) {
    this.columns = columnsOf(input, features);
    this.cells = this.columns.map((column) => new Cell(column));
    this.fields = node('fieldset', { className: 'grid' }, ...this.cells.map((cell) => cell.label));
    this.pasted = node('textarea', { id: 'play-csv', spellcheck: false, placeholder: `${this.names.join(',')}\n…` });
    this.note = node('p', { className: 'soft', role: 'status' });
    this.pasting = node('details', {}, node('summary', {}, 'Several rows: paste CSV'), labelled('CSV, with a header or without', this.pasted), this.note);
    this.elements = [this.fields, this.pasting];
    this.fields.addEventListener('paste', (event) => this.take(event));
    this.pasted.addEventListener('input', () => this.count());
  }

  get isNamed() { return true; }

  get names() { return this.columns.map(({ name }) => name); }

  get isPasted() { return this.pasted.value.trim() !== ''; }

  get rows() {
    if (!this.isPasted) return [Object.fromEntries(this.cells.map(({ column, value }) => [column.name, value]))];
    const types = new Map(this.columns.map((column) => [column.name, column]));
    return this.records().map((record) => Object.fromEntries(Object.entries(record).map(([name, text]) => [name, cellValue(types.get(name), text)])));
  }

  records() {
    try {
      const rows = table(this.pasted.value, this.names);
      if (rows.length) return rows;
      throw new RangeError('there is a header and no row');
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new FormError(error.message, `give each row these cells: ${this.names.join(', ')}`, this.pasted);
    }
  }

  // Several cells that are pasted into one field are a table.
  take(event) {
    const text = event.clipboardData.getData('text/plain');
    if (!/[\t\n]|,.*,/.test(text.trim())) return;
    event.preventDefault();
    this.pasting.open = true;
    this.pasted.value = text;
    this.pasted.focus();
    this.pasted.dispatchEvent(new Event('input', { bubbles: true }));
  }

  count() {
    this.fields.disabled = this.isPasted;
    try {
      const count = this.isPasted ? this.records().length : 0;
      this.note.textContent = count ? `${count} ${count === 1 ? 'row' : 'rows'} in place of the fields above` : '';
    } catch (error) {
      this.note.textContent = error.message;
    }
  }

  control(row, name) {
    return this.isPasted ? this.pasted : (this.cells.find(({ column }) => column.name === name) || this.cells[0]).field;
  }
}

// A column is a name, or an object where it takes more or less than any number. A feature store has some of them; its
// keys take their place.
function columnsOf({ columns }, features) {
  const all = columns.map((column) => (typeof column === 'string' ? { name: column, type: 'number' } : { type: 'number', ...column }));
  if (!features) return all;
  const keys = features.entities.map((name) => ({ name, type: 'key' }));
  return [...keys, ...all.filter(({ name }) => !features.columns.includes(name))];
}
