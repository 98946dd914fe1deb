// Rows without fields of their own, such as tensors, are written as JSON; so is the body for an unknown handler.

import { labelled, node } from './nodes.js';
import { FormError } from './refusals.js';

const MOST_VALUES = 1000; // of an example that fits into a field
const MAKE_JSON = 'write texts in double quotes, and no comma before a closing bracket';

export class JsonForm {
  constructor({ input }) {
    this.area = node('textarea', { name: 'row', value: JSON.stringify(example(input)), spellcheck: false });
    this.elements = [labelled('row as JSON', this.area), ...shapes(input)];
  }

  get rows() {
    try {
      return [JSON.parse(this.area.value)];
    } catch (error) {
      throw new FormError(`the row isn't JSON: ${error.message}`, MAKE_JSON, this.area);
    }
  }

  control() { return this.area; }
}

// A body as it is typed: JSON if it is that, any text otherwise.
export class BodyForm {
  constructor() {
    this.area = node('textarea', { name: 'row', value: '{}', spellcheck: false });
    this.elements = [labelled('body, as JSON or any text', this.area)];
  }

  get content() {
    try {
      return { document: JSON.parse(this.area.value) };
    } catch {
      return { text: this.area.value };
    }
  }

  control() { return this.area; }
}

// A row that the signature allows: zeros by the names of the tensors, each free axis with one place.
function example({ tensors }) {
  const zeros = ([size, ...rest]) => (size === undefined ? 0 : Array.from({ length: length(size) }, () => zeros(rest)));
  const count = ({ shape }) => shape.reduce((product, size) => product * length(size), 1);
  if (!Array.isArray(tensors) || !tensors.length || tensors.some((tensor) => count(tensor) > MOST_VALUES)) return [0];
  return Object.fromEntries(tensors.map(({ name, shape }) => [name, zeros(shape)]));
}

function length(size) {
  return typeof size === 'number' ? size : 1;
}

function shapes({ tensors }) {
  if (!Array.isArray(tensors) || !tensors.length) return [];
  const lines = tensors.map(({ name, dtype = 'float32', shape }) => `${name}: ${dtype}, ${shape.join(' × ') || 'one number'}`);
  return [node('p', { className: 'soft' }, lines.join('; '))];
}
