// Requests in the forms of other servers (embeddings, reranking), whose bodies name the model.
import errors from 'errors.js';
import roles from 'roles.js';

const FORMS = ['embeddings', 'rerank'];
const LONGEST = 128; // characters of a model's name in an archive; the log has the name, so a body must not fill it
const BEARER = /^Bearer +([^ ]+)$/i;

function isNamed(r) {
  return FORMS.indexOf(r.variables.protocol) >= 0;
}

// Sets the model of a request; where one model is served, a body need not name it. Otherwise refuses the request.
function readModel(r) {
  if (!isNamed(r)) {
    return true;
  }
  let body = null;
  try {
    body = JSON.parse(r.requestText);
  } catch (e) {
    // refused below
  }
  if (body === null && r.variables.http_content_encoding) {
    const reason = 'the body names the model, so it must not be compressed';
    errors.refuse(r, 415, 'unsupported_media_type', reason, { where: 'Content-Encoding' });
    return false;
  }
  if (body === null || typeof body !== 'object') {
    errors.refuse(r, 400, 'undecodable_body', 'the body isn\'t a JSON object', { where: 'body' });
    return false;
  }
  roles.load(r);
  const names = roles.names(), name = body.model || (names.length === 1 ? names[0] : '');
  if (typeof name !== 'string' || name === '' || name.length > LONGEST) {
    errors.refuse(r, 400, 'undecodable_body', 'name the model: {"model": "NAME", ...}', { where: 'model' });
    return false;
  }
  r.variables.model = name;
  return true;
}

// The key that clients of these forms send as a bearer token; a token that nginx has verified is none.
function bearerKey(r) {
  const match = isNamed(r) && !r.variables.token_expires && BEARER.exec(r.variables.http_authorization || '');
  return match ? match[1] : undefined;
}

export default { readModel, bearerKey };
