// Errors in one form: an object, a line of text on the Open Inference Protocol's paths, trailers for a gRPC call.
// gRPC's codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const CODES = { 400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 429: 8, 500: 13, 503: 14, 504: 4, 507: 14 }, UNIMPLEMENTED = 12;
const BUSY = 529, LEAST_HELD_MS = 200, SPREAD_MS = 200; // as of the refusals of TorchServe's queue
const UNPRINTABLE = /[^ -$&-~]/g; // `%` too: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

function isCall(r) {
  return r.variables.kind === 'call';
}

// A call's status and message, which trailers carry; the body is sent by the caller.
function trailers(r, code, message) {
  r.variables.grpc_status = String(code);
  r.variables.grpc_message = message.replace(UNPRINTABLE, encodeURIComponent);
  r.headersOut['Content-Type'] = 'application/grpc';
}

// An error by its number: status, type and reason. Undefined where there is none of that number.
function known(r, number) {
  return JSON.parse(r.variables.gateway_errors)[number];
}

// The error of that status and kind, else of that kind, else of that status, else any.
function nearest(r, status, kind) {
  const all = JSON.parse(r.variables.gateway_errors), listed = Object.keys(all).map((number) => all[number]);
  const ofKind = listed.filter((error) => error[1] === kind);
  return ofKind.filter((error) => error[0] === status)[0] || ofKind[0] || all[status] || all[500];
}

// Status and body of an error, whose headers or trailers are set here.
function formed(r, status, type, reason, options) {
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
  const error = r.variables.protocol === 'v2' ? line : { type: type, reason: reason, where: where };
  return { status: status, body: JSON.stringify({ error: error }) };
}

function refuse(r, status, type, reason, options) {
  const own = type ? [status, type, reason] : known(r, status), error = formed(r, own[0], own[1], own[2], options);
  r.return(error.status, error.body);
}

// Who asks again at once must not cost more than what is answered, so such a refusal comes no faster; and not all after
// the same time, or those that were refused together would come again together.
async function busy(r) {
  await new Promise((resolve) => setTimeout(resolve, LEAST_HELD_MS + Math.random() * SPREAD_MS));
  refuse(r, BUSY, undefined, undefined, { retry: 1 });
}

export default { busy, isCall, trailers, known, nearest, formed, refuse };
