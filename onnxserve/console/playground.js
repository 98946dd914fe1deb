// The playground: a form built from a model's description, the answer, and the same request as a curl command.

import { Cell } from './table_cells.js';
import { element } from './cells.js';
import { drawn } from './picture.js';

// Kinds whose rows are files: what a browser offers to choose, how it shows the chosen one, and a name for it.
const FILES = {
  image: { accept: 'image/*', word: 'an image', shown: 'img', example: 'picture.png' },
  audio: { accept: 'audio/*,.wav,.flac,.ogg,.mp3', word: 'a sound', shown: 'audio', example: 'sound.wav' },
  file: { accept: '', word: 'a file', shown: 'output', example: 'file.bin' },
};
const MOST_VALUES = 1000; // of an example that fits into a field

export class Playground {
  constructor(models) {
    this.models = {};
    this.file = '';
    this.form = document.getElementById('play');
    this.select = document.getElementById('play-model');
    this.row = document.getElementById('play-row');
    this.select.addEventListener('change', () => this.draw());
    this.form.addEventListener('input', () => this.shell());
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.ask(); });
    this.update(models);
  }

  // Takes the models by name, each with its signature and the schema of its rows; a form that still fits is kept.
  update(models) {
    const chosen = this.select.value, before = JSON.stringify(this.models[chosen]), names = Object.keys(models);
    if (names.join() !== Object.keys(this.models).join()) {
      this.select.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
    }
    this.models = models;
    if (!before || JSON.stringify(models[chosen]) !== before) this.draw();
  }

  // The form's fields by input kind; a kind without fields of its own is written as JSON, and so is a body for a handler
  // of which nothing is known.
  get fields() {
    const text = () => (this.signature.input.pairs ? this.pair() : [this.text()]);
    return { table: () => this.table(), image: () => [this.drop()], audio: () => [this.drop()], file: () => [this.drop()], text, json: () => [this.json()], body: () => [this.json('body as JSON', {})] };
  }

  get signature() { return this.models[this.select.value]?.signature; }

  // The field of a row that is a file in base64; undefined where rows are no files.
  get fileField() {
    const fields = Object.entries(this.models[this.select.value]?.schema?.properties || {});
    return fields.find(([, { contentEncoding }]) => contentEncoding === 'base64')?.[0];
  }

  get kind() {
    if (!this.signature) return 'body';
    const { kind, columns, height } = this.signature.input;
    if (kind) return kind in this.fields ? kind : 'json';
    if (kind === '') return this.fileField ? 'file' : 'json'; // a handler of a user's own
    return columns?.length ? 'table' : height ? 'image' : 'text'; // archives of earlier versions name no kind
  }

  draw() {
    this.file = '';
    document.getElementById('play-picture').replaceChildren();
    this.row.replaceChildren(...this.fields[this.kind]());
    this.shell();
  }

  text(name = 'text', value = 'what a good film') {
    const label = element('label', `${name} `);
    label.append(Object.assign(document.createElement('textarea'), { name, value, required: true }));
    return label;
  }

  pair() { return [this.text(), this.text('text_pair', 'a film that I liked')]; }

  json(name = 'row as JSON', value = this.example) {
    const label = element('label', `${name} `);
    label.append(Object.assign(document.createElement('textarea'), { name: 'row', value: JSON.stringify(value), required: true }));
    return label;
  }

  // A row that the signature allows: zeros by the names of the tensors, each free axis with one place.
  get example() {
    const zeros = ([size, ...rest]) => (size === undefined ? 0 : Array.from({ length: typeof size === 'number' ? size : 1 }, () => zeros(rest)));
    const tensors = this.signature.input.tensors || [], count = ({ shape }) => shape.reduce((product, size) => product * (typeof size === 'number' ? size : 1), 1);
    if (!Array.isArray(tensors) || !tensors.length || tensors.some((tensor) => count(tensor) > MOST_VALUES)) return [0];
    return Object.fromEntries(tensors.map(({ name, shape }) => [name, zeros(shape)]));
  }

  table() {
    const features = this.signature.features;
    const keys = features ? features.entities.map((name) => ({ name, type: 'key' })) : [];
    const own = features ? this.columns.filter(({ name }) => !features.columns.includes(name)) : this.columns;
    const grid = element('div');
    grid.className = 'grid';
    this.cells = [...keys, ...own].map((column) => new Cell(column));
    for (const cell of this.cells) grid.append(cell.label);
    return [grid];
  }

  // A column is a name, or an object where it takes more or less than any number.
  get columns() {
    return this.signature.input.columns.map((column) => (typeof column === 'string' ? { name: column, type: 'number' } : { type: 'number', ...column }));
  }

  drop() {
    const { accept, word } = FILES[this.kind];
    const area = element('div', `Drop ${word} here, or `);
    area.className = 'drop';
    const label = element('label', 'choose one ');
    const input = Object.assign(document.createElement('input'), { type: 'file', accept });
    label.append(input);
    area.append(label);
    input.addEventListener('change', () => this.take(input.files[0], area));
    area.addEventListener('dragover', (event) => { event.preventDefault(); area.classList.add('over'); });
    area.addEventListener('dragleave', () => area.classList.remove('over'));
    area.addEventListener('drop', (event) => { event.preventDefault(); area.classList.remove('over'); this.take(event.dataTransfer.files[0], area); });
    return area;
  }

  take(file, area) {
    if (!file) return;
    const reader = new FileReader();
    reader.addEventListener('load', () => {
      this.file = reader.result.slice(reader.result.indexOf(',') + 1);
      const { shown, word } = FILES[this.kind], label = `${word} that was chosen, ${file.name}`;
      const preview = Object.assign(element(shown, shown === 'output' ? file.name : ''), { src: reader.result, title: label, controls: true });
      if (shown === 'img') preview.alt = label;
      area.querySelector(shown)?.remove();
      area.append(preview);
      this.shell();
    });
    reader.readAsDataURL(file);
  }

  body() {
    if (this.kind in FILES) return { [this.kind === 'file' ? this.fileField : this.kind]: this.file };
    const fields = [...this.row.querySelectorAll('[name]')];
    if (this.kind === 'body') return parsed(fields[0].value);
    if (this.kind === 'text') return Object.fromEntries(fields.map((field) => [field.name, field.value]));
    if (this.kind === 'json') return { instances: [parsed(fields[0].value)] };
    return Object.fromEntries(this.cells.map((cell) => [cell.column.name, cell.value]));
  }

  shell() {
    const key = document.getElementById('play-key').value ? " -H 'x-api-key: …'" : '';
    const example = FILES[this.kind]?.example;
    const body = example ? `-T ${example}` : `-d '${JSON.stringify(this.body()).replaceAll("'", "'\\''")}'`;
    const type = example ? '' : " -H 'Content-Type: application/json'";
    document.getElementById('play-curl').textContent = `curl${type}${key} ${body} ${document.body.dataset.url}/predictions/${this.select.value}`;
  }

  // Draws an answer's boxes or masks over the chosen picture.
  async picture(reply) {
    const image = this.row.querySelector('img'), labels = this.signature?.output?.labels || [];
    const canvas = image && await drawn(image, reply?.predictions?.[0], labels);
    document.getElementById('play-picture').replaceChildren(...(canvas ? [canvas] : []));
  }

  async ask() {
    const headers = { 'content-type': 'application/json' }, key = document.getElementById('play-key').value;
    if (key) headers['x-api-key'] = key;
    const begun = performance.now(), time = document.getElementById('play-time'), answer = document.getElementById('play-answer');
    try {
      const reply = await fetch(`/ask/predictions/${this.select.value}`, { method: 'POST', headers, body: JSON.stringify(this.body()) });
      const text = await reply.text();
      time.textContent = `${reply.status} in ${(performance.now() - begun).toFixed(1)} ms, by version ${reply.headers.get('x-onnxserve-version') || '–'}`;
      answer.textContent = pretty(text);
      await this.picture(parsed(text));
    } catch (error) {
      time.textContent = 'no answer';
      answer.textContent = String(error);
    }
  }
}

// A row while it is typed may not be JSON yet: the server then says what is wrong.
function parsed(text) {
  try { return JSON.parse(text); } catch { return text; }
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}
