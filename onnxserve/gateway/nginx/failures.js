// When a version could not answer: another try within a budget, then the version to fall back to, then an error with a
// type. A version that is ill is left alone for a while. What a handler refused is no failure and never comes here, but
// for its 5xx, which may be tried again.
import errors from 'errors.js';
import responses from 'responses.js';
import roles from 'roles.js';

const ILL = [502, 503, 504, 507]; // no connection, no worker, no answer in time, a worker that ended; never a model's 500
const WINDOW_MS = 1000, EJECT_AFTER = 20, EJECT_MS = 2000;
const LEAST_TRIES = 3; // that are always allowed: a share of few requests would be none
const PAUSE_MS = 100; // by then TorchServe has left a worker that ended, and gives it nothing more
const UNDECODABLE = '"ErrorDataDecoderException"'; // in place of an answer: what TorchServe itself says of a form's damage

async function again(r) {
  const name = r.variables.model, version = r.variables.version, config = JSON.parse(r.variables.gateway_config);
  const status = Number(String(r.variables.upstream_status || '').split(/[,:] */).pop()) || r.status; // the last one
  const model = roles.model(name), named = r.variables.named, kind = r.variables.upstream_http_x_onnxserve_error;
  const other = model && !named ? roles.fallback(model, version) : '';
  note(r, version, status);
  let plan = [], reply = null;
  if (status === 504) { // there is no time left
    ill(r, name, version, status, kind, other);
  } else {
    plan = Array(roles.isEjected(name, version) ? 0 : config.tries).fill(version).concat(other ? [other] : []);
  }
  for (let i = 0; i < plan.length && (reply === null || reply.status >= 500); i++) {
    reply = await attempt(r, name, plan[i], other, config.most_tries) || reply;
  }
  if (reply === null) {
    tell(r, status, null, kind);
  } else {
    tell(r, reply.status, reply, reply.headersOut['x-onnxserve-error']);
  }
}

// One try more; null where the budget is spent. What a client gave up never gets to its end here: it runs out.
async function attempt(r, name, version, other, most) {
  const tries = ngx.shared.tries, key = r.variables.request_id + ' ' + version;
  if (tries.size() >= Math.max(LEAST_TRIES, most)) {
    return null;
  }
  tries.set(key, 1);
  try {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const reply = await r.subrequest('/-/try/' + version, { method: 'POST' });
    if (reply.status >= 500) {
      note(r, version, reply.status);
      ill(r, name, version, reply.status, reply.headersOut['x-onnxserve-error'], other);
    } else if (version !== r.variables.version) {
      r.variables.degraded_by = 'fallback';
    }
    r.variables.version = version;
    return reply;
  } finally {
    tries.delete(key);
  }
}

// Whoever judges a canary sees each of its failures.
function note(r, version, status) {
  const before = r.variables.failed_tries;
  r.variables.failed_tries = (before ? before + ',' : '') + version + ' ' + status;
}

// A version whose second tries fail too, again and again, is left alone for a while: a worker that ended and comes
// again answers the second try, so its end isn't counted.
function ill(r, name, version, status, application, other) {
  if (application || ILL.indexOf(status) < 0) {
    return;
  }
  const count = ngx.shared.failing.incr(name + '/' + version, 1, 0, WINDOW_MS);
  if (count >= EJECT_AFTER && !roles.isEjected(name, version)) {
    ngx.log(ngx.WARN, JSON.stringify({ event: 'ejected', model: name, version: version, milliseconds: EJECT_MS }));
    roles.eject(r, name, version, EJECT_MS, other);
  }
}

function tell(r, status, reply, kind) {
  if (status === 500 && reply !== null && !kind && String(reply.responseText).indexOf(UNDECODABLE) >= 0) {
    errors.refuse(r, 400, 'undecodable_body', 'the form can not be taken apart', { where: 'body' });
    return;
  }
  if (reply === null || (status >= 500 && !kind)) {
    const own = errors.known(r, status) || errors.known(r, 500);
    errors.refuse(r, own[0], kind || own[1], own[2], { where: 'server', retry: own[0] === 500 ? 0 : 1 });
    return;
  }
  const headers = reply.headersOut, made = responses.replacement(r, status, (name) => headers[name]);
  if (made !== null) {
    r.return(made.status, made.body);
    return;
  }
  r.variables.error_kind = kind || '';
  r.variables.said = headers['x-onnxserve-said'] || '';
  ['Content-Type', 'Inference-Header-Content-Length', 'x-onnxserve-degraded'].forEach((name) => {
    if (headers[name]) {
      r.headersOut[name] = headers[name];
    }
  });
  if (errors.isCall(r)) {
    r.variables.grpc_status = headers['x-grpc-status'] || '13';
    r.variables.grpc_message = headers['x-grpc-message'] || '';
  }
  r.return(errors.isCall(r) ? 200 : status, Buffer.from(reply.responseBuffer || ''));
}

export default { again };
