// What an answer says, and less of it for clients that may not know all.
const SAID = ['label', 'score'];
const FLOATS = { FP32: 4, FP64: 8 };

function read(text) {
  try {
    return opened(JSON.parse(text));
  } catch (e) {
    return null;
  }
}

// Raw tensors of a call become `data`, as the other answers have them.
function opened(document) {
  const raw = document.raw_output_contents;
  (raw ? document.outputs : []).forEach((one, at) => { one.data = elements(one, Buffer.from(raw[at], 'base64')); });
  return document;
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

function written(document) {
  if (document.raw_output_contents) {
    document.raw_output_contents = document.outputs.map((one) => packed(one).toString('base64'));
    document.outputs.forEach((one) => { delete one.data; });
  }
  return JSON.stringify(document);
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
function said(text) {
  const document = read(text);
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
  return r.headersIn['x-onnxserve-digits'] || r.headersIn['x-onnxserve-top'];
}

// Scores rounded and labels cut, wherever they stand in an answer. What can't be read can't be lessened: null.
function lessened(r, text) {
  const document = read(text);
  const digits = Number(r.headersIn['x-onnxserve-digits'] || 9), top = Number(r.headersIn['x-onnxserve-top'] || 0);
  return document === null ? null : written(rounded(document, digits, top));
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
