// The newest rows of the prediction log, which only operators may see.

import { build, element } from './cells.js';
import { ask, isOperator } from './service.js';

const HEADINGS = ['time', 'input', 'label', 'score', 'error'];

export class PredictionsSection {
  constructor(model) {
    this.model = model;
    this.note = element('p', '', 'soft');
    this.show = build('button', { type: 'button', className: 'quiet', textContent: 'Show the newest rows' });
    this.rows = build('div', { className: 'scroll' });
    this.node = build('div', {}, this.note, this.show, this.rows);
    this.show.addEventListener('click', () => this.ask());
  }

  set(version, page) {
    if (version !== this.version || !isOperator(this.model)) this.rows.replaceChildren();
    this.version = version;
    this.show.hidden = !page?.logged || !isOperator(this.model);
    this.note.textContent = !page ? 'Nothing is known of the prediction log.'
      : !page.logged ? 'The prediction log is off; [predictions] percent in gateway.toml turns it on.'
        : isOperator(this.model) ? 'Redacted values were never kept.' : 'The prediction log is on. Its rows may be of people, so only operators see them.';
  }

  async ask() {
    try {
      const { rows } = await ask('predictions', { model: this.model, version: this.version });
      this.rows.replaceChildren(rows.length ? table(rows) : element('p', 'no row was logged yet', 'soft'));
    } catch (error) {
      this.rows.replaceChildren(element('p', error.message, 'bad'));
    }
  }
}

function table(rows) {
  const head = build('tr', {}, ...HEADINGS.map((name) => build('th', { scope: 'col', textContent: name })));
  const body = rows.map((row) => build('tr', {}, element('td', new Date(row.time).toLocaleTimeString()), build('td', {}, element('code', row.input ?? 'not kept')),
    element('td', row.label ?? ''), element('td', row.score === null ? '' : row.score.toFixed(3), 'n'), element('td', row.error ?? '', row.error ? 'bad' : '')));
  return build('table', { tabIndex: 0 }, build('caption', { className: 'hidden', textContent: 'The newest logged rows' }), build('thead', {}, head), build('tbody', {}, ...body));
}
