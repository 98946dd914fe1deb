// The console's service: pages of versions, and the requests of an operator, whose key this page keeps in memory only.

let key = '';

export const operator = { client: '', models: [] };

export function isOperator(model = '') {
  return Boolean(key) && (!model || operator.models.includes('*') || operator.models.includes(model));
}

// Signs in; throws an error that says what is wrong with the key.
export async function signIn(secret) {
  if (/[^!-~]/.test(secret)) throw new Error('a key has letters, digits, - and _ alone');
  Object.assign(operator, await ask('operator', {}, secret));
  key = secret;
}

export function signOut() {
  key = '';
  Object.assign(operator, { client: '', models: [] });
}

// Returns the service's document; throws its error as a sentence with the remedy.
export async function ask(path, query = {}, secret = key) {
  return answered(await fetch(`api/${path}?${new URLSearchParams(query)}`, { cache: 'no-store', headers: secret ? { 'x-api-key': secret } : {} }));
}

export async function send(path, document) {
  const headers = { 'content-type': 'application/json', 'x-api-key': key };
  return answered(await fetch(`api/${path}`, { method: 'POST', headers, body: JSON.stringify(document) }));
}

async function answered(reply) {
  const document = await reply.json().catch(() => ({}));
  if (reply.ok) return document;
  if (reply.status === 503 && document.error?.where === 'gateway') throw new Error("the console's service doesn't answer; onnxserve serve starts it");
  const { reason = `the service answers ${reply.status}`, fix = '' } = document.error || {};
  throw new Error(fix ? `${reason}: ${fix}` : reason);
}
