// What models say of themselves, to clients and the console, and whether they are ready: questions to TorchServe's
// management API.
import errors from 'errors.js';
import roles from 'roles.js';

const ASKED_MS = 250, POLL_MS = 25;
const YES = ' yes', NO = ' no';

async function ask(r, path, options) {
  const reply = await r.subrequest(path, options || {});
  return reply.status === 200 ? JSON.parse(reply.responseText) : null;
}

// Models that are registered; none when the server doesn't say.
async function listed(r) {
  const page = await ask(r, '/-/state', { args: 'limit=1000' });
  return page === null ? [] : page.models;
}

// What a version says of itself, `of` being model or model/version; nothing when it doesn't.
async function about(r, of, archive) {
  const found = await ask(r, '/-/about/' + (archive || '') + '/' + of);
  return (found && found[0].customizedMetadata) || {};
}

// TorchServe is asked one question at a time, whoever asks: those who come meanwhile get the same answer, yes or no, so
// that many of them slow no prediction. One whose client went away is asked again after a while.
async function together(r, question, answer) {
  const flights = ngx.shared.flights, key = 'answer ' + question, before = flights.get(key);
  while (!flights.add('asked ' + question, '1', ASKED_MS)) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const after = flights.get(key);
    if (after !== undefined && after !== before) {
      return after.endsWith(YES);
    }
  }
  try {
    const is = await answer();
    flights.set(key, r.variables.request_id + (is ? YES : NO));
    return is;
  } finally {
    flights.delete('asked ' + question);
  }
}

// One worker that has reproduced its golden rows is enough to answer.
function isReady(r, name, version) {
  return together(r, name + '/' + version, async () => {
    const found = await ask(r, '/-/state/' + name + '/' + version);
    return found !== null && found[0].workers.some((worker) => worker.status === 'READY');
  });
}

// Every version that gets requests which name none.
function isAllReady(r) {
  roles.load(r);
  return together(r, 'all', () => areReady(r));
}

async function areReady(r) {
  const asked = roles.names().map((name) => roles.serving(name).map((version) => isReady(r, name, version)));
  const ready = await Promise.all([].concat.apply([], asked));
  return ready.length > 0 && ready.every(Boolean);
}

function tell(r, document) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(document.ready === false ? 503 : 200, JSON.stringify(document));
}

async function ready(r) {
  if (roles.chosen(r)) {
    const name = r.variables.model, version = r.variables.version;
    tell(r, { name: name, version: version, ready: await isReady(r, name, version) });
  }
}

// KServe's document (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol) and TensorFlow
// Serving's (https://www.tensorflow.org/tfx/serving/api_rest#model_status_api) in one.
async function v1_model(r) {
  if (roles.chosen(r)) {
    const name = r.variables.model, version = r.variables.version, is = await isReady(r, name, version);
    const status = { error_code: is ? 'OK' : 'UNAVAILABLE', error_message: is ? '' : 'no worker is ready' };
    const state = is ? 'AVAILABLE' : 'LOADING';
    tell(r, { name: name, ready: is, model_version_status: [{ version: version, state: state, status: status }] });
  }
}

function v1_models(r) {
  roles.load(r);
  tell(r, { models: roles.names() });
}

async function all_ready(r) {
  tell(r, { ready: await isAllReady(r) });
}

// https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata
// What the chosen version says of itself, V2's metadata included; null where the request is refused.
async function describe(r) {
  if (!roles.chosen(r)) {
    return null;
  }
  const found = await about(r, r.variables.model + '/' + r.variables.version, r.variables.archive);
  if (!found.v2 || !found.v2_message) { // an older archive, or another's
    errors.refuse(r, 503, 'unavailable', 'the model does not describe its tensors', { where: 'server' });
    return null;
  }
  return found;
}

async function metadata(r) {
  const found = await describe(r);
  if (found !== null) {
    tell(r, Object.assign({ name: r.variables.model, versions: [r.variables.version] }, found.v2));
  }
}

// What the console shows: each version's workers, what it says of itself, and the roles that decide on its traffic.
async function shown(r) {
  roles.load(r);
  const all = await listed(r), found = { url: r.variables.public_url, roles: {}, models: [] };
  for (let i = 0; i < all.length; i++) {
    const name = all[i].modelName, versions = await ask(r, '/-/state/' + name + '/all') || [];
    found.roles[name] = roles.model(name);
    for (let j = 0; j < versions.length; j++) {
      found.models.push(await row(r, versions[j]));
    }
  }
  tell(r, found);
}

async function row(r, state) {
  const said = await about(r, state.modelName + '/' + state.modelVersion);
  return {
    name: state.modelName,
    version: state.modelVersion,
    ready: state.workers.filter((worker) => worker.status === 'READY').length,
    workers: Math.max(state.workers.length, state.minWorkers),
    signature: said.signature,
    evidence: said.evidence,
    golden: said.golden_deviation,
    provider: said.provider ? said.provider.name.replace('ExecutionProvider', '') : '',
  };
}

export default {
  tell, listed, about, isReady, isAllReady, describe, ready, all_ready, metadata, shown, v1_model, v1_models,
};
