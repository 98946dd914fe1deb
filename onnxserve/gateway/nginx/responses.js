// Answers that can't go on as they are, and copies of requests.
import crypto from 'crypto';
import errors from 'errors.js';

const NO_CONTENT = 204;

function digest(r) {
  const body = r.requestBuffer && r.requestBuffer.length ? r.requestBuffer : ''; // an empty buffer can't be read
  return crypto.createHash('sha256').update(body).digest('hex');
}

// What stands in for an answer of the model server; null for one that may go on. `header` gives its headers.
function replacement(r, status, header) {
  if (status < 400) {
    const limits = r.variables.digits + '/' + r.variables.top;
    // An older archive, or another's handler, has not heard of limits.
    return limits === '/' || status === NO_CONTENT || header('x-onnxserve-limited') === limits ? null
      : errors.formed(r, 403, 'withheld', 'this version can not answer with as little as this client may know', { where: 'server' });
  }
  if (errors.isCall(r)) {
    return header('x-grpc-status') ? null
      : errors.formed(r, status, 'unimplemented', 'this version reads no calls; export it again', { where: 'server' });
  }
  const own = header('x-onnxserve-error') ? undefined : errors.known(r, status);
  return own ? errors.formed(r, own[0], own[1], own[2], { where: 'server' }) : null;
}

// Headers of the model server's answer, by name.
function upstream(r) {
  return (name) => r.variables['upstream_http_' + name.toLowerCase().replace(/-/g, '_')];
}

// Room for another body.
function head(r) {
  const made = replacement(r, r.status, upstream(r));
  if (made !== null) {
    delete r.headersOut['Content-Length'];
    delete r.headersOut['Inference-Header-Content-Length'];
    r.status = made.status;
    r.replaced = made.body;
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

// A copy of a request: the answer comes first, so that nobody waits; then the version is asked, and what it says is noted.
async function shadow(r) {
  const began = Date.now();
  try {
    r.return(202);
  } catch (e) {
    // the client has gone; the version is asked all the same
  }
  const reply = await r.subrequest('/-/copy', { method: 'POST' });
  r.variables.shadow_status = String(reply.status);
  r.variables.shadow_seconds = String((Date.now() - began) / 1000);
  r.variables.said = reply.headersOut['x-onnxserve-said'] || '';
  r.variables.copied_rows = reply.headersOut['x-onnxserve-rows'] || '';
}

export default { digest, replacement, upstream, head, body, shadow };
