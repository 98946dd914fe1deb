// A request as a command and as programs, which send the same bytes. A key is read from a variable of the environment.

import { FILE } from './request.js';
import { typeOf } from './schema_types.js';

const KEY = 'ONNXSERVE_KEY', HEADER = 'x-api-key';
const PROTOTYPE = /(?<!\\)"__proto__":/g; // a literal with this name as it is has no such field

export function curl(request) {
  const headers = request.type ? [`-H 'Content-Type: ${request.type}'`] : [];
  if (request.hasKey) headers.push(`-H "${HEADER}: $${KEY}"`);
  const address = quoted(request.address), json = request.isJson ? JSON.stringify(request.document) : '';
  if (json.includes(FILE)) {
    const format = json.replaceAll('\\', '\\\\').replaceAll('%', '%%').replace(FILE, '%s');
    const pipe = `printf ${quoted(format)} "$(base64 < ${quoted(request.file.name)} | tr -d '\\n')"`;
    return `${pipe} |\n  ${['curl', ...headers, '--data-binary @-', address].join(' ')}`;
  }
  const body = request.isJson ? `-d ${quoted(json)}` : request.text === undefined ? `-T ${quoted(request.file.name)}` : `--data-raw ${quoted(request.text)}`;
  return ['curl', ...headers, body, address].join(' ');
}

// `answer` is the schema of a prediction, undefined for a model that has none.
export function python(request, answer) {
  const json = request.isJson ? JSON.stringify(request.document) : '', hasFile = json.includes(FILE);
  const imports = [hasFile && 'import base64', request.hasKey && 'import os', (hasFile || isRaw(request)) && 'from pathlib import Path'].filter(Boolean);
  const read = `Path(${JSON.stringify(request.file?.name)}).read_bytes()`;
  const lines = imports.length ? [...imports, ''] : [];
  lines.push('import httpx', '');
  if (hasFile) lines.push(`content = base64.b64encode(${read}).decode()`);
  const headers = request.text === undefined ? [] : ['"Content-Type": "text/plain"'];
  if (request.hasKey) headers.push(`"${HEADER}": os.environ["${KEY}"]`);
  const body = request.isJson ? `json=${literal(request.document)}` : `content=${request.text === undefined ? read : JSON.stringify(request.text)}`;
  lines.push('response = httpx.post(', `    ${JSON.stringify(request.address)},`, `    ${body},`);
  if (headers.length) lines.push(`    headers={${headers.join(', ')}},`);
  return [...lines, '    timeout=30,', ')', 'if response.is_error:', '    raise RuntimeError(response.text)', `print(response.${answer ? 'json()["predictions"]' : 'text'})`].join('\n');
}

export function typescript(request, answer) {
  const json = request.isJson ? JSON.stringify(request.document) : '', hasFile = json.includes(FILE);
  const read = `await readFile(${JSON.stringify(request.file?.name)})`, lines = [];
  if (hasFile || isRaw(request)) lines.push("import { readFile } from 'node:fs/promises';", '');
  if (answer) lines.push(`type Prediction = ${typeOf(answer)};`, '');
  if (hasFile) lines.push(`const content = (${read}).toString('base64');`);
  const headers = request.type ? [`'Content-Type': '${request.type}'`] : [];
  if (request.hasKey) headers.push(`'${HEADER}': process.env.${KEY} ?? ''`);
  lines.push(`const response = await fetch(${JSON.stringify(request.address)}, {`, "  method: 'POST',");
  if (headers.length) lines.push(`  headers: { ${headers.join(', ')} },`);
  lines.push(`  body: ${typescriptBody(request, json, read)},`, '});', 'if (!response.ok) throw new Error(await response.text());');
  if (!answer) return [...lines, 'console.log(await response.text());'].join('\n');
  return [...lines, 'const { predictions } = (await response.json()) as { predictions: Prediction[] };', 'console.log(predictions);'].join('\n');
}

function typescriptBody(request, json, read) {
  if (request.isJson) return `JSON.stringify(${json.replace(JSON.stringify(FILE), 'content').replace(PROTOTYPE, '["__proto__"]:')})`;
  return request.text === undefined ? `new Uint8Array(${read})` : JSON.stringify(request.text);
}

function isRaw({ isJson, text }) {
  return !isJson && text === undefined;
}

function quoted(text) {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// Returns a JSON value as Python writes it.
function literal(value) {
  if (value === FILE) return 'content';
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object') return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each)}`).join(', ')}}`;
  return JSON.stringify(value);
}
