// Error answers: a JSON object in the form of the request's path, trailers for a gRPC call.
// gRPC's codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const CODES = { 400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 429: 8, 500: 13, 503: 14, 504: 4, 507: 14 }, UNIMPLEMENTED = 12;
const BUSY = 529, LEAST_HELD_MS = 200, SPREAD_MS = 200; // the same delays as for refusals of TorchServe's queue
// An error's document by the form of the request; others have the form of predictions.
const FORMS = {
  v2: (status, line) => ({ error: line }),
  embeddings: (status, line, error) => ({ error: {
    message: error.reason, type: status < 500 ? 'invalid_request_error' : 'server_error', param: null, code: error.type,
  } }),
  rerank: (status, line) => ({ message: line }),
};
const UNPRINTABLE = /[^ -$&-~]/g; // `%` too: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

function isCall(r) {
  return r.variables.kind === 'call';
}

// Sets a call's status and message, which the trailers carry; the caller sends the body.
function trailers(r, code, message) {
  r.variables.grpc_status = String(code);
  r.variables.grpc_message = message.replace(UNPRINTABLE, encodeURIComponent);
  r.headersOut['Content-Type'] = 'application/grpc';
}

// An error by its number: status, type and reason; undefined for an unknown number.
function known(r, number) {
  return JSON.parse(r.variables.gateway_errors)[number];
}

// The error with this status and kind, else with this kind, else with this status, else the general one.
function nearest(r, status, kind) {
  const all = JSON.parse(r.variables.gateway_errors), listed = Object.keys(all).map((number) => all[number]);
  const ofKind = listed.filter((error) => error[1] === kind);
  return ofKind.filter((error) => error[0] === status)[0] || ofKind[0] || all[status] || all[500];
}

// Builds an error: sets its headers or trailers and returns status and body.
function build(r, status, type, reason, options) {
  const more = options || {}, where = more.where || 'gateway', line = type + ': ' + where + ': ' + reason;
  r.variables.error_kind = type;
  if (isCall(r)) {
    trailers(r, CODES[status] || UNIMPLEMENTED, line);
    return { status: 200, body: '' };
  }
  r.headersOut['Content-Type'] = 'application/json';
  if (more.retry) {
    r.headersOut['Retry-After'] = String(more.retry);
  }
  if (status === 401) {
    r.headersOut['WWW-Authenticate'] = 'Bearer';
  }
  if (status === 405) {
    r.headersOut.Allow = r.variables.allow;
  }
  const error = { type: type, reason: reason, where: where }, form = FORMS[r.variables.protocol];
  return { status: status, body: JSON.stringify(form ? form(status, line, error) : { error: error }) };
}

function refuse(r, status, type, reason, options) {
  const own = type ? [status, type, reason] : known(r, status), error = build(r, own[0], own[1], own[2], options);
  r.return(error.status, error.body);
}

// A client that retries at once must not cost more than an answer, so the refusal is delayed; by a random time, so that
// requests that were refused together don't come again together.
async function busy(r) {
  await new Promise((resolve) => setTimeout(resolve, LEAST_HELD_MS + Math.random() * SPREAD_MS));
  refuse(r, BUSY, undefined, undefined, { retry: 1 });
}

export default { busy, isCall, trailers, known, nearest, build, refuse };
