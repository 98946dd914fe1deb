// What models say of themselves, and whether they are ready: questions to TorchServe's management API.
import errors from 'errors.js';
import roles from 'roles.js';

const DATATYPES = {
  float16: 'FP16', float32: 'FP32', float64: 'FP64', int8: 'INT8', int16: 'INT16', int32: 'INT32', int64: 'INT64',
  uint8: 'UINT8', uint16: 'UINT16', uint32: 'UINT32', uint64: 'UINT64', bool: 'BOOL', string: 'BYTES',
};

async function ask(r, path, options) {
  const reply = await r.subrequest(path, options || {});
  return reply.status === 200 ? JSON.parse(reply.responseText) : null;
}

// Models that are registered; none when the server doesn't say.
async function listed(r) {
  const page = await ask(r, '/-/state', { args: 'limit=1000' });
  return page === null ? [] : page.models;
}

// What a version says of itself, `of` being model or model/version; null when it doesn't.
async function about(r, of, archive) {
  const found = await ask(r, '/-/about/' + (archive || '') + '/' + of);
  return found === null ? null : found[0];
}

// One worker that has reproduced its golden rows is enough to answer.
async function isReady(r, name, version) {
  const found = await ask(r, '/-/state/' + name + '/' + version);
  return found !== null && found[0].workers.some((worker) => worker.status === 'READY');
}

// Every version that gets requests which name none.
async function isAllReady(r) {
  roles.load(r);
  const names = roles.names();
  let is = names.length > 0;
  for (let i = 0; i < names.length && is; i++) {
    const versions = roles.serving(names[i]);
    for (let j = 0; j < versions.length && is; j++) {
      is = await isReady(r, names[i], versions[j]);
    }
  }
  return is;
}

function tell(r, is, more) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(is ? 200 : 503, JSON.stringify(Object.assign(more, { ready: is })));
}

function chosen(r) {
  roles.load(r);
  const is = roles.choose(r);
  if (!is) {
    errors.refuse(r, 404, 'not_found', 'there is no such model or version');
  }
  return is;
}

async function ready(r) {
  if (chosen(r)) {
    const name = r.variables.model, version = r.variables.version;
    tell(r, await isReady(r, name, version), { name: name, version: version });
  }
}

async function all_ready(r) {
  tell(r, await isAllReady(r), {});
}

function tensor(one) {
  const shape = one.shape.map((axis) => (typeof axis === 'number' ? axis : -1));
  return { name: one.name, datatype: DATATYPES[one.dtype] || one.dtype, shape: shape };
}

// https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata
async function describe(r) {
  const model = await about(r, r.variables.model + '/' + r.variables.version, r.variables.archive);
  const signature = model && model.customizedMetadata && model.customizedMetadata.signature;
  if (!signature || !Array.isArray(signature.inputs) || !Array.isArray(signature.outputs)) {
    return null;
  }
  return {
    name: r.variables.model,
    versions: [r.variables.version],
    platform: 'onnxruntime_onnx',
    inputs: signature.inputs.map(tensor),
    outputs: signature.outputs.map(tensor),
  };
}

async function metadata(r) {
  if (!chosen(r)) {
    return;
  }
  const document = await describe(r);
  if (document === null) {
    errors.refuse(r, 503, 'unavailable', 'the model does not describe itself now', { where: 'server' });
    return;
  }
  r.headersOut['Content-Type'] = 'application/json';
  r.return(200, JSON.stringify(document));
}

export default { ask, listed, about, isReady, isAllReady, describe, ready, all_ready, metadata };
