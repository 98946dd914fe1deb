// What nginx does beside proxying: the digest of a body, who answered, readiness, and errors in one form.
import crypto from 'crypto';
import answers from 'answers.js';

const TYPES = {
  400: ['malformed_request', 'the model server could not read the request'],
  404: ['not_found', 'there is no such model or version'],
  413: ['too_large', 'the body is larger than the model server allows'],
  500: ['internal_error', 'the model server failed'],
  503: ['unavailable', 'no worker can take the request now'],
  504: ['deadline_exceeded', 'no answer within the deadline'],
  507: ['worker_ended', 'the worker that had the request ended'],
};
const OLD = 2;
const CALL = 'application/x-protobuf+json';
const NOT_FOUND = '5'; // https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const KEPT_BYTES = 32768; // of a request, beside what a shadow answered
const DATATYPES = {
  float16: 'FP16', float32: 'FP32', float64: 'FP64', int8: 'INT8', int16: 'INT16', int32: 'INT32', int64: 'INT64',
  uint8: 'UINT8', uint16: 'UINT16', uint32: 'UINT32', uint64: 'UINT64', bool: 'BOOL', string: 'BYTES',
};

function ask(r) {
  if (!r.variables.model) {
    fail(r, 404, 'not_found', 'no archive is named');
    return;
  }
  const hash = crypto.createHash('sha256');
  if (r.requestBuffer) {
    hash.update(r.requestBuffer);
  }
  r.variables.digest = hash.digest('hex');
  if (r.headersIn['x-onnxserve-keep'] && r.requestBuffer && r.requestBuffer.length <= KEPT_BYTES) {
    r.variables.asked = r.requestBuffer.toString('base64');
  }
  r.internalRedirect(level(r) >= OLD ? '@old' : '@answer');
}

// The rung of the brown-out ladder; on the second one answers may be old.
function level(r) {
  return Number(r.headersIn['x-onnxserve-level'] || 0);
}

// Headers that tell who answered; and, for errors, room for another body.
function mark(r) {
  const cache = (r.variables.upstream_cache_status || '').toLowerCase();
  const wanted = r.headersIn['x-onnxserve-wanted'];
  r.headersOut['x-onnxserve-version'] = r.variables.version;
  if (cache) {
    r.headersOut['x-onnxserve-cache'] = cache;
    ngx.shared.counts.incr(r.variables.model + ' ' + cache, 1, 0);
  }
  if (cache === 'stale' || (cache === 'hit' && level(r) >= OLD)) {
    r.headersOut['x-onnxserve-degraded'] = 'cache';
  } else if (r.variables.version === r.headersIn['x-onnxserve-smaller']) {
    r.headersOut['x-onnxserve-degraded'] = 'smaller';
  } else if (wanted && wanted !== r.variables.version) {
    r.headersOut['x-onnxserve-degraded'] = 'fallback';
  }
  if (r.headersOut['grpc-status']) {
    r.status = 200; // as gRPC has it; a handler has said the rest
    return;
  }
  if (r.status >= 400 || answers.limited(r)) {
    delete r.headersOut['Content-Length'];
  }
  if (r.status >= 400) {
    r.headersOut['Content-Type'] = 'application/json';
    if (r.status === 503 || r.status === 507) {
      r.headersOut['Retry-After'] = '1';
    }
  }
}

// TorchServe's own errors become ours, a handler's are ours already; and a client may get less than the model says.
function explain(r, data, flags) {
  const observed = r.headersIn['x-onnxserve-observe'];
  if (r.status < 400 && !answers.limited(r) && !observed) {
    r.sendBuffer(data, flags);
    r.done();
    return;
  }
  r.kept = r.kept ? Buffer.concat([r.kept, data]) : Buffer.from(data);
  if (!flags.last) {
    return;
  }
  const text = r.kept.toString();
  if (observed && r.status === 200) {
    r.variables.said = JSON.stringify(answers.said(text));
  }
  if (r.status >= 400) {
    r.sendBuffer(reworded(r, text), flags);
  } else {
    r.sendBuffer(answers.limited(r) ? lessened(r, text) : r.kept, flags);
  }
}

function lessened(r, text) {
  return answers.lessened(r, text) || worded(r, 'withheld', 'this client gets answers in JSON only', 'server');
}

function reworded(r, text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch (e) {
    document = null;
  }
  if (document && document.error) {
    const error = document.error;
    if (isCall(r)) {
      return error.type ? worded(r, error.type, error.reason, error.where) : error;
    }
    return isV2(r) && error.type ? worded(r, error.type, error.reason, error.where) : text;
  }
  const known = TYPES[r.status] || ['error', 'the model server answers ' + r.status];
  return worded(r, known[0], known[1], 'server');
}

// The Open Inference Protocol's errors are one line of text. A question of Envoy's has the path behind its own.
function isV2(r) {
  return r.variables.request_uri.replace('/authorize/', '/').startsWith('/v2/');
}

// A call over gRPC; its messages come as the JSON that Envoy makes of them, its errors end as text of gRPC's.
function isCall(r) {
  return r.headersIn['Content-Type'] === CALL;
}

function worded(r, type, reason, where) {
  const line = type + ': ' + where + ': ' + reason;
  if (isCall(r)) {
    return line;
  }
  return JSON.stringify({ error: isV2(r) ? line : { type: type, reason: reason, where: where } });
}

function fail(r, status, type, reason) {
  if (isCall(r) && status === 404) {
    r.headersOut['Content-Type'] = 'application/grpc';
    r.headersOut['grpc-status'] = NOT_FOUND;
    r.headersOut['grpc-message'] = worded(r, type, reason, 'server');
    r.return(200);
    return;
  }
  answer(r, status, worded(r, type, reason, 'server'));
}

function answer(r, status, body) {
  r.headersOut['Content-Type'] = 'application/json';
  r.return(status, body);
}

// As `onnxserve` itself sees it: every worker that should run has reproduced its golden rows.
function isReady(version) {
  const running = version.workers.filter((worker) => worker.status === 'READY').length;
  return running >= Math.max(1, version.minWorkers) && running === version.workers.length;
}

async function state(r, path) {
  const reply = await r.subrequest('/state/' + path);
  return reply.status === 200 ? JSON.parse(reply.responseText)[0] : null;
}

// Models that are registered; none when the server doesn't say.
async function listed(r) {
  const reply = await r.subrequest('/state', { args: 'limit=1000' });
  return reply.status === 200 ? JSON.parse(reply.responseText).models : [];
}

// What a version says of itself, `of` being model or model/version; null when it doesn't.
async function about(r, of) {
  const reply = await r.subrequest('/about/' + of);
  return reply.status === 200 ? JSON.parse(reply.responseText)[0] : null;
}

async function ready(r) {
  const version = await state(r, r.variables.model + '/' + r.variables.version);
  const is = version !== null && isReady(version);
  tell(r, is, { name: r.variables.model, version: r.variables.version });
}

async function all_ready(r) {
  const models = await listed(r);
  let is = models.length > 0;
  for (let i = 0; i < models.length && is; i++) {
    const version = await state(r, models[i].modelName);
    is = version !== null && isReady(version);
  }
  tell(r, is, {});
}

// A call is answered either way, by what its message has room for.
function tell(r, is, more) {
  answer(r, is || isCall(r) ? 200 : 503, JSON.stringify(isCall(r) ? { ready: is } : Object.assign(more, { ready: is })));
}

function unknown(r) {
  if (r.uri.endsWith('/ready')) {
    tell(r, false, {});
    return;
  }
  fail(r, 404, 'not_found', 'there is no such model or version');
}

function tensor(one) {
  const shape = one.shape.map((axis) => (typeof axis === 'number' ? axis : -1));
  return { name: one.name, datatype: DATATYPES[one.dtype] || one.dtype, shape: shape };
}

// https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#model-metadata
async function metadata(r) {
  const model = await about(r, r.variables.model + '/' + r.variables.version);
  if (model === null) {
    fail(r, 503, 'unavailable', 'the model does not describe itself now');
    return;
  }
  const signature = model.customizedMetadata.signature;
  const document = {
    name: r.variables.model,
    versions: [r.variables.version],
    platform: 'onnxruntime_onnx',
    inputs: signature.inputs.map(tensor),
    outputs: signature.outputs.map(tensor),
  };
  answer(r, 200, JSON.stringify(document));
}

function metrics(r) {
  const lines = ['# TYPE onnxserve_cache_answers_total counter'];
  ngx.shared.counts.items().forEach((pair) => {
    const parts = pair[0].split(' ');
    lines.push('onnxserve_cache_answers_total{model="' + parts[0] + '",cache="' + parts[1] + '"} ' + pair[1]);
  });
  lines.push('# TYPE onnxserve_refusals_total counter');
  ngx.shared.refusals.items().forEach((pair) => {
    lines.push('onnxserve_refusals_total{type="' + pair[0] + '"} ' + pair[1]);
  });
  lines.push('# TYPE onnxserve_probing_alerts_total counter');
  ngx.shared.alerts.items().forEach((pair) => {
    lines.push('onnxserve_probing_alerts_total{client="' + pair[0].replace(/["\\\n]/g, '_') + '"} ' + pair[1]);
  });
  r.headersOut['Content-Type'] = 'text/plain; version=0.0.4';
  r.return(200, lines.join('\n') + '\n');
}

export default { ask, mark, explain, ready, all_ready, metadata, metrics, unknown, listed, about, worded };
