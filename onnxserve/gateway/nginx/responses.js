// Replacing answers that must not reach the client, and copying requests to a shadow.
import crypto from 'crypto';
import errors from 'errors.js';

const NO_CONTENT = 204;

function digest(r) {
  const body = r.requestBuffer && r.requestBuffer.length ? r.requestBuffer : ''; // njs can't hash an empty buffer
  return crypto.createHash('sha256').update(body).digest('hex');
}

// The replacement for an answer of the model server; null if the answer may go on. `header` returns its headers.
function replacement(r, status, header) {
  if (status < 400) {
    const limits = r.variables.digits + '/' + r.variables.top;
    // The handler of an older archive, or another's handler, ignores limits.
    return limits === '/' || status === NO_CONTENT || header('x-onnxserve-limited') === limits ? null
      : errors.build(r, 403, 'withheld', 'this version can not limit its answer to what this client may know', { where: 'server' });
  }
  if (errors.isCall(r)) {
    return header('x-grpc-status') ? null
      : errors.build(r, status, 'unimplemented', 'this version does not support gRPC; export it again', { where: 'server' });
  }
  const own = header('x-onnxserve-error') ? undefined : errors.known(r, status);
  return own ? errors.build(r, own[0], own[1], own[2], { where: 'server' }) : null;
}

// A function that returns headers of the model server's answer by name.
function upstream(r) {
  return (name) => r.variables['upstream_http_' + name.toLowerCase().replace(/-/g, '_')];
}

// Header filter: makes room for the replacement's body.
function head(r) {
  const other = replacement(r, r.status, upstream(r));
  if (other !== null) {
    delete r.headersOut['Content-Length'];
    delete r.headersOut['Inference-Header-Content-Length'];
    r.status = other.status;
    r.replaced = other.body;
  }
}

function body(r, data, flags) {
  if (r.replaced === undefined) {
    r.sendBuffer(data, flags);
    r.done();
  } else if (flags.last) {
    r.sendBuffer(r.replaced, flags);
  }
}

// Answers a request's copy at once, so that nobody waits; then asks the shadow version and logs its answer.
async function shadow(r) {
  const began = Date.now();
  try {
    r.return(202);
  } catch (e) {
    // the client has gone; ask the version nevertheless
  }
  const reply = await r.subrequest('/-/copy', { method: 'POST' });
  r.variables.shadow_status = String(reply.status);
  r.variables.shadow_seconds = String((Date.now() - began) / 1000);
  r.variables.said = reply.headersOut['x-onnxserve-said'] || '';
  r.variables.copied_rows = reply.headersOut['x-onnxserve-rows'] || '';
}

export default { digest, replacement, upstream, head, body, shadow };
