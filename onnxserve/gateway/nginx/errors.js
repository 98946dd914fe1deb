// Errors in one form: an object, a line of text on the Open Inference Protocol's paths, trailers for a gRPC call.
// gRPC's codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
const CODES = { 400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 429: 8, 500: 13, 501: 12, 503: 14, 504: 4, 507: 14 };
const UNPRINTABLE = /[^ -$&-~]/g; // `%` too: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

function isCall(r) {
  return r.variables.kind === 'call';
}

function line(type, reason, where) {
  return type + ': ' + where + ': ' + reason;
}

function worded(r, type, reason, where) {
  const text = line(type, reason, where);
  return JSON.stringify({ error: r.variables.protocol === 'v2' ? text : { type: type, reason: reason, where: where } });
}

// A call's status and message, which trailers carry; the body is sent by the caller.
function trailers(r, code, message) {
  r.variables.grpc_status = String(code);
  r.variables.grpc_message = message.replace(UNPRINTABLE, encodeURIComponent);
}

function refuse(r, status, type, reason, options) {
  const more = options || {};
  r.variables.error_kind = type;
  if (isCall(r)) {
    trailers(r, more.code === undefined ? CODES[status] || 2 : more.code, line(type, reason, more.where || 'gateway'));
    r.headersOut['Content-Type'] = 'application/grpc';
    r.return(200);
    return;
  }
  r.headersOut['Content-Type'] = 'application/json';
  if (more.retry) {
    r.headersOut['Retry-After'] = String(more.retry);
  }
  if (status === 401) {
    r.headersOut['WWW-Authenticate'] = 'Bearer';
  }
  if (status === 405) {
    r.headersOut.Allow = r.variables.allowed;
  }
  r.return(status, worded(r, type, reason, more.where || 'gateway'));
}

export default { isCall, worded, trailers, refuse, CODES };
