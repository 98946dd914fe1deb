// Readiness and descriptions of models, for clients and the console, from TorchServe's management API.
import errors from 'errors.js';
import roles from 'roles.js';

const ASKED_MS = 250, POLL_MS = 25;
const YES = ' yes', NO = ' no';

async function ask(r, path, options) {
  const reply = await r.subrequest(path, options || {});
  return reply.status === 200 ? JSON.parse(reply.responseText) : null;
}

// The registered models; none when the server doesn't answer.
async function listed(r) {
  const page = await ask(r, '/-/state', { args: 'limit=1000' });
  return page === null ? [] : page.models;
}

// A version's description of itself, empty without one; `target` is model or model/version.
async function about(r, target, archive) {
  const states = await ask(r, '/-/about/' + (archive || '') + '/' + target);
  return (states && states[0].customizedMetadata) || {};
}

// Asks TorchServe each question once at a time: requests that come meanwhile get the same answer, yes or no, so that many
// of them slow no prediction. If the asking client went away, the question is repeated after a while.
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
    const yes = await answer();
    flights.set(key, r.variables.request_id + (yes ? YES : NO));
    return yes;
  } finally {
    flights.delete('asked ' + question);
  }
}

// A version is ready when one worker has reproduced the golden rows.
function isReady(r, name, version) {
  return together(r, name + '/' + version, async () => {
    const states = await ask(r, '/-/state/' + name + '/' + version);
    return states !== null && states[0].workers.some((worker) => worker.status === 'READY');
  });
}

// Whether every version is ready that gets requests which name no version.
function isAllReady(r) {
  roles.load(r);
  return together(r, 'all', () => areReady(r));
}

async function areReady(r) {
  const answers = roles.names().map((name) => roles.serving(name).map((version) => isReady(r, name, version)));
  const ready = await Promise.all([].concat.apply([], answers));
  return ready.length > 0 && ready.every(Boolean);
}

function send(r, document) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(document.ready === false ? 503 : 200, JSON.stringify(document));
}

async function ready(r) {
  if (roles.chooseOrRefuse(r)) {
    const name = r.variables.model, version = r.variables.version;
    send(r, { name: name, version: version, ready: await isReady(r, name, version) });
  }
}

// KServe's document (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol) and TensorFlow
// Serving's (https://www.tensorflow.org/tfx/serving/api_rest#model_status_api) in one.
async function v1_model(r) {
  if (roles.chooseOrRefuse(r)) {
    const name = r.variables.model, version = r.variables.version, ready = await isReady(r, name, version);
    const status = { error_code: ready ? 'OK' : 'UNAVAILABLE', error_message: ready ? '' : 'no worker is ready' };
    const state = ready ? 'AVAILABLE' : 'LOADING';
    send(r, { name: name, ready: ready, model_version_status: [{ version: version, state: state, status: status }] });
  }
}

function v1_models(r) {
  roles.load(r);
  send(r, { models: roles.names() });
}

async function all_ready(r) {
  send(r, { ready: await isAllReady(r) });
}

// https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata
// The chosen version's description of itself, with V2's metadata; null if the request is refused.
async function describe(r) {
  if (!roles.chooseOrRefuse(r)) {
    return null;
  }
  const description = await about(r, r.variables.model + '/' + r.variables.version, r.variables.archive);
  if (description.evidence && !description.v2) { // a migrated archive, or an older one
    errors.refuse(r, 501, 'unimplemented', 'the input of this model is unknown', { where: 'server' });
    return null;
  }
  if (!description.v2 || !description.v2_message) { // no worker answers, or another exporter's archive
    errors.refuse(r, 503, 'unavailable', 'the model does not describe its tensors', { where: 'server' });
    return null;
  }
  return description;
}

async function metadata(r) {
  const description = await describe(r);
  if (description !== null) {
    send(r, Object.assign({ name: r.variables.model, versions: [r.variables.version] }, description.v2));
  }
}

// The console's data: each version's workers, its description of itself, and the roles.
async function overview(r) {
  roles.load(r);
  const all = await listed(r), page = { url: r.variables.public_url, roles: {}, models: [] };
  for (let i = 0; i < all.length; i++) {
    const name = all[i].modelName, versions = await ask(r, '/-/state/' + name + '/all') || [];
    page.roles[name] = roles.model(name);
    for (let j = 0; j < versions.length; j++) {
      page.models.push(await row(r, versions[j]));
    }
  }
  send(r, page);
}

async function row(r, state) {
  const description = await about(r, state.modelName + '/' + state.modelVersion), schemas = description.openapi || {};
  return {
    name: state.modelName,
    version: state.modelVersion,
    ready: state.workers.filter((worker) => worker.status === 'READY').length,
    workers: Math.max(state.workers.length, state.minWorkers),
    signature: description.signature,
    schema: schemas.row,
    parameters: schemas.parameters,
    answer: schemas.prediction,
    evidence: description.evidence,
    golden: description.golden_deviation,
    drift: description.drift,
    provider: description.provider ? description.provider.name.replace('ExecutionProvider', '') : '',
  };
}

export default {
  send, listed, about, isReady, isAllReady, describe, ready, all_ready, metadata, overview, v1_model, v1_models,
};
