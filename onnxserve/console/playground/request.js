// A request of the playground: its address, and a body that is JSON, a text, or a file as it is.

export const FILE = '\ue000'; // in a document, the place of the chosen file in base64

export class PlayRequest {
  // `content` has `document` (a JSON value), `text` or neither; `file` is what was chosen, or a name to show in code;
  // `rows` are those that the body has.
  constructor(address, hasKey, { document, text, file, rows = [] }) {
    Object.assign(this, { address, hasKey, document, text, file, rows });
  }

  get isJson() { return this.document !== undefined; }

  get type() {
    if (this.isJson) return 'application/json';
    return this.text === undefined ? '' : 'text/plain';
  }

  // A file goes without its type, as curl -T sends it: the model knows it by its first bytes.
  async body() {
    if (this.text !== undefined) return this.text;
    if (!this.isJson) return new Blob([this.file]);
    const json = JSON.stringify(this.document);
    return json.includes(FILE) ? json.replace(FILE, await base64(this.file)) : json;
  }
}

export async function base64(file) {
  const url = await dataUrl(file);
  return url.slice(url.indexOf(',') + 1);
}

export function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(reader.result));
    reader.addEventListener('error', () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
