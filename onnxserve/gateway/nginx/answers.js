// What an answer says, and less of it for clients that may not know all; JSON, or a call's message.
import errors from 'errors.js';
import wire from 'wire.js';

const SAID = ['label', 'score'];
const FLOATS = { FP32: 4, FP64: 8 };

function read(r, content) {
  try {
    return errors.isCall(r) ? opened(wire.unframed(content)) : JSON.parse(content.toString());
  } catch (e) {
    return null;
  }
}

// ModelInferResponse: its raw tensors become `data`, as the other answers have them.
function opened(message) {
  const document = { rest: [], outputs: [] }, raw = [];
  wire.fields(message, (field, value) => {
    if (field === 5) {
      document.outputs.push(output(value));
    } else if (field === 6) {
      raw.push(value);
    } else if (field <= 3) {
      document.rest.push(wire.text(field, value));
    }
  });
  document.outputs.forEach((one, at) => { one.data = elements(one, raw[at]); });
  return document;
}

function output(message) {
  const found = { name: '', datatype: '', message: message };
  wire.fields(message, (field, value) => {
    if (field === 1) {
      found.name = value.toString();
    } else if (field === 2) {
      found.datatype = value.toString();
    }
  });
  return found;
}

function elements(tensor, bytes) {
  const found = [], size = FLOATS[tensor.datatype];
  let at = 0;
  if (tensor.datatype === 'BYTES') {
    while (at < bytes.length) {
      const length = bytes.readUInt32LE(at);
      found.push(bytes.slice(at + 4, at + 4 + length).toString());
      at += 4 + length;
    }
    return found;
  }
  if (!size) {
    throw new Error(tensor.datatype + ' is not read here');
  }
  for (; at < bytes.length; at += size) {
    found.push(size === 4 ? bytes.readFloatLE(at) : bytes.readDoubleLE(at));
  }
  return found;
}

function written(r, document) {
  if (!errors.isCall(r)) {
    return JSON.stringify(document);
  }
  const outputs = document.outputs.map((one) => wire.text(5, one.message));
  const raw = document.outputs.map((one) => wire.text(6, packed(one)));
  return wire.framed(Buffer.concat(document.rest.concat(outputs, raw)));
}

function packed(tensor) {
  const size = FLOATS[tensor.datatype];
  return Buffer.concat(tensor.data.map((one) => {
    if (!size) {
      const text = Buffer.from(one), length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      return Buffer.concat([length, text]);
    }
    const bytes = Buffer.alloc(size);
    if (size === 4) {
      bytes.writeFloatLE(one);
    } else {
      bytes.writeDoubleLE(one);
    }
    return bytes;
  }));
}

// Label and score of each row, of our own answers and of the Open Inference Protocol's.
function said(r, content) {
  const document = read(r, content);
  if (document === null) {
    return [];
  }
  if (Array.isArray(document.predictions)) {
    return document.predictions.map((one) => ({ label: one.label, score: one.score }));
  }
  const named = {};
  (document.outputs || []).forEach((one) => { named[one.name] = one.data || []; });
  return (named.label || []).map((label, row) => ({ label: label, score: (named.score || [])[row] }));
}

function limited(r) {
  return r.variables.digits || r.variables.top;
}

// Scores rounded and labels cut, wherever they stand in an answer. What can't be read can't be lessened: null.
function lessened(r, content) {
  const document = read(r, content);
  const digits = Number(r.variables.digits || 9), top = Number(r.variables.top || 0);
  if (document === null) {
    return null;
  }
  if (errors.isCall(r)) { // only the elements are numbers of the model's
    const outputs = document.outputs.filter((one) => !top || SAID.includes(one.name));
    outputs.forEach((one) => { one.data = rounded(one.data, digits, top); });
    return written(r, { rest: document.rest, outputs: outputs });
  }
  return written(r, rounded(document, digits, top));
}

function rounded(value, digits, top) {
  if (typeof value === 'number') {
    return Number.isInteger(value) ? value : Number(value.toFixed(digits));
  }
  if (Array.isArray(value)) {
    return value.map((one) => rounded(one, digits, top));
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  const made = {};
  Object.keys(value).forEach((name) => {
    let part = value[name];
    if (top && name === 'outputs' && Array.isArray(part)) {
      part = part.filter((one) => SAID.includes(one.name)); // logits would say what `scores` may not
    }
    made[name] = top && name === 'scores' ? best(part, digits, top) : rounded(part, digits, top);
  });
  return made;
}

function best(scores, digits, top) {
  const made = {};
  Object.keys(scores).sort((a, b) => scores[b] - scores[a]).slice(0, top).forEach((label) => {
    made[label] = rounded(scores[label], digits, top);
  });
  return made;
}

export default { said, limited, lessened };
