// Rows that are texts, pairs of texts, or a query with the documents that a model orders.

import { labelled, node } from './nodes.js';

export class TextForm {
  constructor({ input, output }) {
    this.ranks = Boolean(input.pairs) && output?.task === 'rerank';
    this.text = area('text', input.pairs ? 'which film was good' : 'what a good film');
    this.second = input.pairs ? area('text_pair', 'a film that I liked') : null;
    const names = this.ranks ? ['query', 'documents, one a line'] : ['text', 'text_pair'];
    this.elements = [this.text, this.second].filter(Boolean).map((control, place) => labelled(names[place], control));
  }

  get isNamed() { return true; }

  get rows() {
    const text = this.text.value;
    if (!this.second) return [{ text }];
    return this.seconds.map((other) => ({ text, text_pair: other }));
  }

  get seconds() {
    const lines = this.ranks ? this.second.value.split('\n').filter((line) => line.trim()) : [];
    return lines.length ? lines : [this.second.value];
  }

  control(row, name) { return name === this.second?.name || row > 0 ? this.second : this.text; }
}

function area(name, value) {
  return node('textarea', { name, value });
}
