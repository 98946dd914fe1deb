// The playground: a form by a model's description, what the model predicts, and the same request as code.

import { CodeTabs } from './playground/code_tabs.js';
import { formOf } from './playground/forms.js';
import { labelled, node } from './playground/nodes.js';
import { ParameterFields } from './playground/parameter_fields.js';
import { shownPredictions } from './playground/predictions.js';
import { FormError, Refusals, controlOf, errorOf } from './playground/refusals.js';
import { PlayRequest } from './playground/request.js';

const OF_DOCUMENTS = ['instances', 'inputs']; // names that would make a row a document of rows or of tensors

export class Playground {
  constructor(models) {
    this.models = new Map();
    this.build(document.getElementById('playground'));
    this.update(models);
  }

  // Takes the models by name, each with its signature and the schemas of its rows, parameters and predictions; a form
  // that still fits is kept.
  update(models) {
    const chosen = this.select.value, before = JSON.stringify(this.models.get(chosen)), names = [...models.keys()];
    if (names.join() !== [...this.models.keys()].join()) {
      this.select.replaceChildren(...names.map((name) => new Option(name, name, false, name === chosen)));
    }
    this.models = models;
    if (!before || JSON.stringify(models.get(chosen)) !== before) this.draw();
  }

  build(section) {
    this.select = node('select', { id: 'play-model' });
    this.key = node('input', { id: 'play-key', type: 'password', autocomplete: 'current-password', placeholder: 'where the gateway asks for one' });
    this.row = node('div', { id: 'play-row' });
    this.options = node('div', { id: 'play-parameters', className: 'fields' });
    this.button = node('button', { type: 'submit' }, 'Ask');
    this.time = node('span', { id: 'play-time', role: 'status' });
    this.shown = node('div', { id: 'play-shown', ariaLive: 'polite' });
    this.answer = node('pre', { id: 'play-answer', tabIndex: 0 }, '–');
    this.code = new CodeTabs();
    const head = node('div', { className: 'fields' }, labelled('model', this.select), labelled('key', this.key));
    const foot = node('div'); // a form's own methods are hidden by fields with their names, such as a column `append`
    this.form = node('form', { id: 'play', noValidate: true }, head, this.row, this.options, node('p', {}, this.button, ' ', this.time), foot);
    this.refusals = new Refusals(foot);
    const json = node('details', {}, node('summary', {}, 'The answer as JSON'), this.answer);
    const answer = node('div', { className: 'answer' }, node('h3', {}, 'Answer'), this.shown, json, node('h3', {}, 'The same in code'), ...this.code.elements);
    section.setAttribute('aria-labelledby', 'play-title');
    section.replaceChildren(node('h2', { id: 'play-title' }, 'Playground'), node('div', { className: 'play' }, this.form, answer));
    this.select.addEventListener('change', () => this.draw());
    for (const event of ['input', 'change']) this.form.addEventListener(event, () => this.showCode());
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.ask(); });
  }

  get model() { return this.models.get(this.select.value) || {}; }

  draw() {
    this.fields?.close?.();
    this.refusals.clear();
    this.fields = formOf(this.model);
    this.parameters = new ParameterFields(this.model.parameters);
    this.row.replaceChildren(...this.fields.elements);
    this.options.replaceChildren(...this.parameters.elements);
    this.shown.replaceChildren(node('p', { className: 'soft' }, 'Ask the model to see what it predicts.'));
    this.answer.textContent = '–';
    this.time.textContent = '';
    this.showCode();
  }

  // Returns the request that the form stands for; FormError if there is none.
  request() {
    const address = `${document.body.dataset.url}/predictions/${this.select.value}`;
    return new PlayRequest(address, this.key.value !== '', this.content());
  }

  content() {
    const { content, file, isRaw, isNamed } = this.fields, parameters = this.parameters.value;
    if (content) return content;
    if (isRaw && !parameters) return { file };
    const rows = this.fields.rows, isAlone = isNamed && rows.length === 1 && !OF_DOCUMENTS.some((name) => name in rows[0]);
    if (parameters) return { document: { instances: rows, parameters }, file, rows };
    return { document: isAlone ? rows[0] : { instances: rows }, file, rows };
  }

  showCode() {
    try {
      this.code.show(this.request(), this.model.answer);
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      this.code.clear(error.message);
    }
  }

  async ask() {
    this.refusals.clear();
    this.button.disabled = true;
    try {
      const request = this.request();
      if (this.fields.missing) throw this.fields.missing;
      await this.send(request);
    } catch (error) {
      this.time.textContent = 'no answer';
      this.refusals.show(error instanceof FormError ? error.error : { reason: String(error) }, error.control);
    } finally {
      this.button.disabled = false;
    }
  }

  async send(request) {
    const { fields } = this, path = `/ask/predictions/${this.select.value}`, headers = request.type ? { 'content-type': request.type } : {};
    const body = await request.body(), start = performance.now();
    if (this.key.value) headers['x-api-key'] = this.key.value;
    const reply = await fetch(path, { method: 'POST', headers, body }), text = await reply.text();
    if (this.fields !== fields) return; // another model was chosen meanwhile
    this.time.textContent = `${reply.status} in ${(performance.now() - start).toFixed(1)} ms, by version ${reply.headers.get('x-onnxserve-version') || '–'}`;
    await this.show(request, text, reply.ok);
    this.answer.textContent = pretty(text);
  }

  async show({ rows }, text, isAnswer) {
    if (!isAnswer) {
      const error = errorOf(text);
      this.shown.replaceChildren(node('p', { className: 'soft' }, 'The request was refused.'));
      this.refusals.show(error, controlOf(error, { form: this.fields, parameters: this.parameters, key: this.key }));
      return;
    }
    const { output } = this.model.signature || {};
    const context = { rows, image: this.fields.picture, labels: output?.labels, task: output?.task };
    const shown = await shownPredictions(parsed(text)?.predictions, context);
    this.shown.replaceChildren(...shown);
    this.answer.closest('details').open = !shown.length;
  }
}

function parsed(text) {
  try { return JSON.parse(text); } catch { return null; }
}

function pretty(text) {
  const document = parsed(text);
  return document === null ? text : JSON.stringify(document, null, 2);
}
