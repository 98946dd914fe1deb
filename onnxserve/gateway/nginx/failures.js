// Handling of failures: when a version could not answer, another try within a budget, then the fallback version, then a
// typed error. A version that keeps failing is ejected for a while. An error that already has a type is an answer and is
// passed on. It comes from a handler, or from TorchServe's queue, which itself retries the requests of a worker that
// ended. Only a canary's error is retried on the stable version, which would have answered without the canary.
import errors from 'errors.js';
import responses from 'responses.js';
import roles from 'roles.js';

const FAILURES = [502, 503, 504, 507]; // no connection, no worker, no answer in time, a worker that ended; not 500
const AGAIN = [503, 504, 507]; // the same request may succeed later
const ENDED = 'worker_ended'; // two workers ended with this request, so others would too
const FINAL = [ENDED, 'answer_too_large']; // a retry gets the same error
const REFUSALS = ['overloaded', 'quarantined']; // TorchServe's queue did not take the request: no worker has seen it
const QUEUES = REFUSALS.concat(ENDED); // errors of the queue, not of a handler
const WINDOW_MS = 1000, EJECT_AFTER = 20, EJECT_MS = 2000;
const LEAST_TRIES = 3; // these are always allowed, since a share of few requests would round to none
const UNDECODABLE = '"ErrorDataDecoderException"'; // TorchServe's answer to a damaged form

async function retry(r) {
  const version = r.variables.version, header = responses.upstream(r);
  const status = Number(String(r.variables.upstream_status || '').split(/[,:] */).pop()) || r.status; // of the last try
  const kind = header('x-onnxserve-error');
  note(r, version, status, kind);
  const reply = await askOthers(r, version, status, kind);
  if (reply === null) {
    send(r, status, header, '');
  } else {
    send(r, reply.status, (name) => reply.headersOut[name], Buffer.from(reply.responseBuffer || ''));
  }
}

// Tries the version again and the fallback; returns the last answer, null if none was asked.
async function askOthers(r, version, status, kind) {
  const name = r.variables.model, config = JSON.parse(r.variables.gateway_config), model = roles.model(name);
  const other = model && !r.variables.named ? roles.fallback(model, version) : '';
  let plan = [], reply = null;
  if (status === 504) { // there is no time left
    countFailure(r, name, version, kind ? 0 : status, config);
  } else if (kind) {
    // An error of a canary that the client didn't name, even if the canary has ended meanwhile.
    plan = other && version !== model.stable && QUEUES.indexOf(kind) < 0 ? [other] : [];
  } else {
    plan = Array(roles.isEjected(name, version) ? 0 : config.tries).fill(version).concat(other ? [other] : []);
  }
  for (let i = 0; i < plan.length && (reply === null || failed(reply)); i++) {
    reply = await attempt(r, name, plan[i], config) || reply;
  }
  return reply;
}

// Answers when a version, or a client at it, has as many requests under way as it may. These include refusals that the
// queue delays, so each client has a few reserve slots beyond the limit, fewer the more clients use theirs. A request
// without a free slot is refused. A large body gets none, since the server's memory limits it.
async function answerFull(r) {
  const slot = r.variables.medium_body ? '' : takeSlot(r), version = r.variables.version;
  if (!slot) {
    await errors.busy(r);
    return;
  }
  try {
    let reply = await r.subrequest('/-/try/' + version, { method: 'POST' });
    if (reply.status >= 500) {
      const kind = reply.headersOut['x-onnxserve-error'];
      note(r, version, reply.status, kind);
      reply = await askOthers(r, version, reply.status, kind) || reply;
    }
    send(r, reply.status, (name) => reply.headersOut[name], Buffer.from(reply.responseBuffer || ''));
  } finally {
    ngx.shared.reserve.delete(slot);
  }
}

// Takes a reserve slot and returns its name, empty if the client has none left. The slot of a vanished client expires.
function takeSlot(r) {
  const config = JSON.parse(r.variables.gateway_config), slots = ngx.shared.reserve;
  const most = config.client_reserve_slots && Math.ceil(config.client_reserve_slots * (1 - slots.size() / config.reserve_slots));
  for (let i = 0; i < most; i++) {
    const name = i + ' ' + r.variables.model + '/' + r.variables.version + ' ' + r.variables.client;
    if (slots.add(name, 1)) {
      return name;
    }
  }
  return '';
}

function failed(reply) {
  return reply.status >= 500 && !reply.headersOut['x-onnxserve-error'];
}

// One more try; null if the budget is spent. The entry of a vanished client expires, since its code never ends.
async function attempt(r, name, version, config) {
  const tries = ngx.shared.tries, key = r.variables.request_id + ' ' + version;
  if (tries.size() >= Math.max(LEAST_TRIES, config.most_tries)) {
    return null;
  }
  tries.set(key, 1);
  try {
    const reply = await r.subrequest('/-/try/' + version, { method: 'POST' });
    if (reply.status >= 500) {
      note(r, version, reply.status, reply.headersOut['x-onnxserve-error']);
    } else if (version !== r.variables.version) {
      r.variables.degraded_by = 'fallback';
    }
    if (failed(reply)) {
      countFailure(r, name, version, reply.status, config);
    }
    r.variables.version = version;
    return reply;
  } finally {
    tries.delete(key);
  }
}

// Records a failed try, so that the comparison of versions counts it; a refusal says nothing about the version.
function note(r, version, status, kind) {
  if (REFUSALS.indexOf(kind) >= 0) {
    return;
  }
  const before = r.variables.failed_tries;
  r.variables.failed_tries = (before ? before + ',' : '') + version + ' ' + status;
}

// Counts a failed second try, and ejects a version after many of them. A worker that ended and restarts answers the
// second try, so its end isn't counted; neither is a deadline that a client chose.
function countFailure(r, name, version, status, config) {
  if (FAILURES.indexOf(status) < 0 || (status === 504 && Number(r.variables.deadline) < config.answer_s)) {
    return;
  }
  const count = ngx.shared.failing.incr(name + '/' + version, 1, 0, WINDOW_MS);
  if (count >= EJECT_AFTER && !roles.isEjected(name, version)) {
    ngx.log(ngx.WARN, JSON.stringify({ event: 'ejected', model: name, version: version, milliseconds: EJECT_MS }));
    roles.eject(r, name, version, EJECT_MS);
  }
}

// Sends the answer. A failure's own body comes in a header, since nginx drops the body of an answer that it hands to a
// script; without that header the error is the gateway's.
function send(r, status, header, answer) {
  const kind = header('x-onnxserve-error') || '', encoded = kind ? header('x-onnxserve-body') : '';
  const body = encoded ? Buffer.from(encoded, 'base64') : answer;
  if (status === 500 && !kind && String(body).indexOf(UNDECODABLE) >= 0) {
    errors.refuse(r, 400, 'undecodable_body', 'the form can not be decoded', { where: 'body' });
    return;
  }
  const inTrailers = kind && errors.isCall(r) && header('x-grpc-status'); // a call's error text is in its trailers
  if (status >= 500 && !encoded && !inTrailers) {
    const own = errors.nearest(r, status, kind), later = AGAIN.indexOf(own[0]) >= 0 && FINAL.indexOf(kind) < 0;
    const reason = kind && kind !== own[1] ? 'the model can not answer this request' : own[2];
    errors.refuse(r, own[0], kind || own[1], reason, { where: 'server', retry: later ? 1 : 0 });
    return;
  }
  const other = responses.replacement(r, status, header);
  if (other !== null) {
    r.return(other.status, other.body);
    return;
  }
  r.variables.error_kind = kind;
  r.variables.said = header('x-onnxserve-said') || '';
  ['Content-Type', 'Inference-Header-Content-Length', 'x-onnxserve-degraded'].forEach((name) => {
    if (header(name)) {
      r.headersOut[name] = header(name);
    }
  });
  if (errors.isCall(r)) {
    r.variables.grpc_status = header('x-grpc-status') || '13';
    r.variables.grpc_message = header('x-grpc-message') || '';
  }
  r.return(errors.isCall(r) ? 200 : status, body);
}

export default { retry, answerFull };
