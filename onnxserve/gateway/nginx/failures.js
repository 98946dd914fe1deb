// When a version could not answer: another try within a budget, then the version to fall back to, then an error with a
// type. A version that is ill is left alone for a while. An error that has a name already is an answer and goes on: a
// handler's, or that of TorchServe's queue, which tries again itself what a worker took with it when it ended. Only a
// canary's goes to the stable version, which would have answered without the canary.
import errors from 'errors.js';
import responses from 'responses.js';
import roles from 'roles.js';

const ILL = [502, 503, 504, 507]; // no connection, no worker, no answer in time, a worker that ended; never a model's 500
const AGAIN = [503, 504, 507]; // the same may be answered later
const ENDED = 'worker_ended'; // of a request with which two workers ended: others would too
const FINAL = [ENDED, 'answer_too_large']; // whoever asks again is told the same
const REFUSALS = ['overloaded', 'quarantined']; // TorchServe's queue did not take the request: no worker has seen it
const QUEUES = REFUSALS.concat(ENDED); // errors that are no handler's
const WINDOW_MS = 1000, EJECT_AFTER = 20, EJECT_MS = 2000;
const LEAST_TRIES = 3; // that are always allowed: a share of few requests would be none
const UNDECODABLE = '"ErrorDataDecoderException"'; // in place of an answer: what TorchServe itself says of a form's damage

async function again(r) {
  const version = r.variables.version, header = responses.upstream(r);
  const status = Number(String(r.variables.upstream_status || '').split(/[,:] */).pop()) || r.status; // the last one
  const kind = header('x-onnxserve-error');
  note(r, version, status, kind);
  const reply = await another(r, version, status, kind);
  if (reply === null) {
    tell(r, status, header, '');
  } else {
    tell(r, reply.status, (name) => reply.headersOut[name], Buffer.from(reply.responseBuffer || ''));
  }
}

// The last answer of those that are asked instead; null where nobody is.
async function another(r, version, status, kind) {
  const name = r.variables.model, config = JSON.parse(r.variables.gateway_config), model = roles.model(name);
  const other = model && !r.variables.named ? roles.fallback(model, version) : '';
  let plan = [], reply = null;
  if (status === 504) { // there is no time left
    ill(r, name, version, kind ? 0 : status, config);
  } else if (kind) {
    // Not asked by its name: a canary's, even if that ended meanwhile.
    plan = other && version !== model.stable && QUEUES.indexOf(kind) < 0 ? [other] : [];
  } else {
    plan = Array(roles.isEjected(name, version) ? 0 : config.tries).fill(version).concat(other ? [other] : []);
  }
  for (let i = 0; i < plan.length && (reply === null || failed(reply)); i++) {
    reply = await attempt(r, name, plan[i], config) || reply;
  }
  return reply;
}

// A version that has as many requests under way as it may, or a client its share. What floods it includes refusals that
// its queue holds back, so each client has a few places beyond, fewer of them the more clients need theirs: who has more
// under way than those is refused. A large body has none, since its limit is the server's memory.
async function full(r) {
  const place = r.variables.medium_body ? '' : takePlace(r), version = r.variables.version;
  if (!place) {
    await errors.busy(r);
    return;
  }
  try {
    let reply = await r.subrequest('/-/try/' + version, { method: 'POST' });
    if (reply.status >= 500) {
      const kind = reply.headersOut['x-onnxserve-error'];
      note(r, version, reply.status, kind);
      reply = await another(r, version, reply.status, kind) || reply;
    }
    tell(r, reply.status, (name) => reply.headersOut[name], Buffer.from(reply.responseBuffer || ''));
  } finally {
    ngx.shared.places.delete(place);
  }
}

// The name of a place; empty where the client has none left. A place that a client gave up runs out.
function takePlace(r) {
  const config = JSON.parse(r.variables.gateway_config), places = ngx.shared.places;
  const most = config.client_places && Math.ceil(config.client_places * (1 - places.size() / config.places));
  for (let i = 0; i < most; i++) {
    const name = i + ' ' + r.variables.model + '/' + r.variables.version + ' ' + r.variables.client;
    if (places.add(name, 1)) {
      return name;
    }
  }
  return '';
}

function failed(reply) {
  return reply.status >= 500 && !reply.headersOut['x-onnxserve-error'];
}

// One try more; null where the budget is spent. What a client gave up never gets to its end here: it runs out.
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
      ill(r, name, version, reply.status, config);
    }
    r.variables.version = version;
    return reply;
  } finally {
    tries.delete(key);
  }
}

// Whoever judges a canary sees each of its failures; a refusal says nothing about the version.
function note(r, version, status, kind) {
  if (REFUSALS.indexOf(kind) >= 0) {
    return;
  }
  const before = r.variables.failed_tries;
  r.variables.failed_tries = (before ? before + ',' : '') + version + ' ' + status;
}

// A version whose second tries fail too, again and again, is left alone for a while: a worker that ended and comes
// again answers the second try, so its end isn't counted. Nor is a deadline that a client chose.
function ill(r, name, version, status, config) {
  if (ILL.indexOf(status) < 0 || (status === 504 && Number(r.variables.deadline) < config.answer_s)) {
    return;
  }
  const count = ngx.shared.failing.incr(name + '/' + version, 1, 0, WINDOW_MS);
  if (count >= EJECT_AFTER && !roles.isEjected(name, version)) {
    ngx.log(ngx.WARN, JSON.stringify({ event: 'ejected', model: name, version: version, milliseconds: EJECT_MS }));
    roles.eject(r, name, version, EJECT_MS);
  }
}

// A failure's own words come in a header, since nginx keeps no body of what it hands over; else the words are ours.
function tell(r, status, header, answer) {
  const kind = header('x-onnxserve-error') || '', words = kind ? header('x-onnxserve-body') : '';
  const body = words ? Buffer.from(words, 'base64') : answer;
  if (status === 500 && !kind && String(body).indexOf(UNDECODABLE) >= 0) {
    errors.refuse(r, 400, 'undecodable_body', 'the form can not be taken apart', { where: 'body' });
    return;
  }
  const said = kind && errors.isCall(r) && header('x-grpc-status'); // a call's words are in its trailers
  if (status >= 500 && !words && !said) {
    const own = errors.nearest(r, status, kind), later = AGAIN.indexOf(own[0]) >= 0 && FINAL.indexOf(kind) < 0;
    const reason = kind && kind !== own[1] ? 'the model can not answer this request' : own[2];
    errors.refuse(r, own[0], kind || own[1], reason, { where: 'server', retry: later ? 1 : 0 });
    return;
  }
  const made = responses.replacement(r, status, header);
  if (made !== null) {
    r.return(made.status, made.body);
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

export default { again, full };
