// What an answer says: noted while a canary or a shadow runs, and less of it for clients that may not know all.
import crypto from 'crypto';
import answers from 'answers.js';
import errors from 'errors.js';

const OWN_ERRORS = {
  400: ['malformed_request', 'the model server could not read the request'],
  404: ['not_found', 'there is no such model or version'],
  413: ['too_large', 'the body is larger than the model server allows'],
  500: ['internal_error', 'the model server failed'],
  503: ['unavailable', 'no worker can take the request now'],
  504: ['deadline_exceeded', 'no answer within the deadline'],
  507: ['worker_ended', 'the worker that had the request ended'],
};

function digest(r) {
  const hash = crypto.createHash('sha256');
  if (r.requestBuffer && r.requestBuffer.length) {
    hash.update(r.requestBuffer);
  }
  return hash.digest('hex');
}

// An answer to a call that says nothing of it comes from a handler that reads no calls: an older archive, or another's.
function isAnswered(r) {
  return r.status < 400 || !errors.isCall(r) || r.variables.upstream_http_x_grpc_status;
}

// Room for another body.
function head(r) {
  if (!isAnswered(r)) {
    errors.trailers(r, errors.CODES[r.status] || 12, 'unimplemented: server: this version reads no calls; export it again');
    r.variables.error_kind = 'unimplemented';
    delete r.headersOut['Content-Length'];
    r.headersOut['Content-Type'] = 'application/grpc';
    r.variables.unanswered = '1';
    r.status = 200;
    return;
  }
  if (answers.limited(r) || r.status >= 400) {
    delete r.headersOut['Content-Length'];
  }
  if (r.status >= 400) {
    r.headersOut['Content-Type'] = 'application/json';
  }
}

function body(r, data, flags) {
  if (r.variables.unanswered) {
    r.sendBuffer('', flags);
    return;
  }
  if (r.status === 204 || (!r.variables.observe && !answers.limited(r) && r.status < 400)) { // 204 has no body
    r.sendBuffer(data, flags);
    r.done();
    return;
  }
  r.kept = r.kept ? Buffer.concat([r.kept, data]) : Buffer.from(data);
  if (flags.last) {
    r.sendBuffer(shown(r, r.status, r.kept), flags);
  }
}

// The body for the client, after what it says was noted; TorchServe's own errors become ours.
function shown(r, status, content) {
  if (status >= 400) {
    return errors.isCall(r) ? content : reworded(r, status, content.toString());
  }
  if (r.variables.observe && status === 200) {
    r.variables.said = JSON.stringify(answers.said(r, content));
  }
  if (!answers.limited(r)) {
    return content;
  }
  const less = answers.lessened(r, content);
  return less === null ? errors.worded(r, 'withheld', 'this client gets answers in JSON only', 'server') : less;
}

function reworded(r, status, text) {
  try {
    if (JSON.parse(text).error) {
      return text;
    }
  } catch (e) {
    // not one of a handler's
  }
  const known = own(status);
  r.variables.error_kind = known[0];
  return errors.worded(r, known[0], known[1], 'server');
}

function own(status) {
  return OWN_ERRORS[status] || ['error', 'the model server answers ' + status];
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
  r.variables.said = JSON.stringify(reply.status === 200 ? answers.said(r, Buffer.from(reply.responseBuffer)) : []);
}

export default { digest, head, body, shown, own, shadow };
