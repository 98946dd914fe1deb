// Which form a model has, by the kind of its input.

import { FileForm } from './file_form.js';
import { BodyForm, JsonForm } from './json_form.js';
import { TableForm } from './table_form.js';
import { TextForm } from './text_form.js';

// A form has `elements`, `rows` (or `content`, a whole body) and `control(row, name)`, the field that an error is about.
// `isNamed` says that a row may be a body alone: it is an object of the form's own names.
export function formOf({ signature, schema }) {
  if (!signature) return new BodyForm();
  const fileField = fileFieldOf(schema), kind = kindOf(signature.input, fileField);
  if (kind === 'table') return new TableForm(signature);
  if (kind === 'text') return new TextForm(signature);
  if (kind === 'image' || kind === 'audio') return new FileForm(kind, kind);
  return kind === 'file' ? new FileForm(kind, fileField) : new JsonForm(signature);
}

function kindOf({ kind, columns, height }, fileField) {
  if (kind) return kind;
  if (kind === '') return fileField ? 'file' : 'json'; // a handler of a user's own
  return columns?.length ? 'table' : height ? 'image' : 'text'; // archives of earlier versions name no kind
}

// The field of a row that is a file in base64; undefined where rows are no files.
function fileFieldOf(schema) {
  return Object.entries(schema?.properties || {}).find(([, { contentEncoding }]) => contentEncoding === 'base64')?.[0];
}
