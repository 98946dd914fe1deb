// Errors at the fields that they are about: what is wrong, where, and how to fix it.

import { node } from './nodes.js';

const ROW = /^instances\[(\d+)\](?:\.(.+))?$/, PARAMETER = /^parameters\.(.+)$/;
const OF_KEYS = ['unauthenticated', 'forbidden'];

// What the form itself refuses; `control` is the field, or null for the form as a whole.
export class FormError extends Error {
  constructor(reason, fix, control = null) {
    super(reason);
    Object.assign(this, { error: { reason, fix }, control });
  }
}

// Returns the error of an answer; an answer that isn't in the form of errors stands for itself.
export function errorOf(text) {
  try {
    const { error } = JSON.parse(text);
    if (error?.reason) return error;
    if (typeof error === 'string') return { reason: error };
  } catch { /* the text is the reason */ }
  return { reason: text || 'the answer has no body' };
}

// Returns the field of a form that an error is about, null for none.
export function controlOf({ type, where = '' }, { form, parameters, key }) {
  const row = ROW.exec(where), parameter = PARAMETER.exec(where);
  if (OF_KEYS.includes(type)) return key;
  if (parameter) return parameters.control(parameter[1]);
  return row ? form.control(Number(row[1]), row[2]) : null;
}

export function described({ type, reason, where, fix }) {
  const parts = [node('span', {}, reason)];
  if (type) parts.unshift(node('b', {}, type), ' ');
  if (where) parts.push(', at ', node('code', {}, where));
  if (fix) parts.push(node('span', { className: 'fix' }, `To fix it: ${fix}.`));
  return parts;
}

// Shows one error at a time: at a field, or at the end of the form.
export class Refusals {
  constructor(place) {
    this.place = place;
    this.control = null;
    this.message = node('p', { className: 'refusal', id: 'play-refusal', role: 'alert', hidden: true });
    place.append(this.message);
  }

  clear() {
    this.control?.removeAttribute('aria-invalid');
    this.control?.removeAttribute('aria-describedby');
    this.control = null;
    this.message.hidden = true;
    this.place.append(this.message); // a form that is drawn anew would take it along
  }

  show(error, control) {
    this.clear();
    this.message.replaceChildren(...described(error));
    if (control) {
      control.setAttribute('aria-invalid', 'true');
      control.setAttribute('aria-describedby', this.message.id);
      (control.closest('label') || control).after(this.message);
      control.focus();
    }
    this.control = control;
    this.message.hidden = false;
  }
}
