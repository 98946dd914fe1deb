// Who may ask, how often, and what an answer tells.
import crypto from 'crypto';
import fs from 'fs';
import errors from 'errors.js';
import probing from 'probing.js';
import roles from 'roles.js';
import timestamps from 'timestamps.js';

const DAY_MS = 86400000;
const STAMP = '#stamp'; // the file's digest, beside keys, whose names are digests
const DIGEST = /^[0-9a-f]{64}$/;
const ID = 12; // digits of a digest that name its key in the log
const MANY = 1000000; // more than there is room for

// Once a second: nginx has what the file says, and forgets what it no longer says.
function refresh(session) {
  const text = read(session.variables.keys_file), known = ngx.shared.keys;
  const digest = crypto.createHash('sha256').update(text).digest('hex');
  if (known.get(STAMP) === digest) {
    return;
  }
  const keys = parsed(text);
  if (keys === null) {
    ngx.log(ngx.ERR, 'the keys file is damaged; the keys before stay in force');
    return;
  }
  known.keys(MANY).filter((digest) => !keys[digest]).forEach((digest) => known.delete(digest));
  try {
    Object.keys(keys).forEach((digest) => known.set(digest, JSON.stringify(keys[digest])));
  } catch (e) {
    ngx.log(ngx.ERR, 'the keys file has more keys than there is room for; some are not known');
  }
  known.set(STAMP, digest);
}

function read(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (e) {
    return '{}'; // no file, no keys
  }
}

// Keys by digest; null for what is no such file.
function parsed(text) {
  try {
    const keys = JSON.parse(text), isOne = (digest) => DIGEST.test(digest) && isKey(keys[digest]);
    return typeof keys === 'object' && !Array.isArray(keys) && Object.keys(keys).every(isOne) ? keys : null;
  } catch (e) {
    return null;
  }
}

function isKey(key) {
  return typeof key.client === 'string' && (key.models === undefined || Array.isArray(key.models)) &&
    (key.expires === undefined || key.expires === null || !isNaN(timestamps.milliseconds(key.expires)));
}

function policyOf(r, secret) {
  if (!ngx.shared.keys.get(STAMP)) {
    refresh(r); // the first request may come before the first second is over
  }
  const digest = crypto.createHash('sha256').update(secret).digest('hex'), text = ngx.shared.keys.get(digest);
  return text ? Object.assign(JSON.parse(text), { id: digest.slice(0, ID) }) : null;
}

// Whether the request may go on; else it is refused.
function admit(r) {
  const guard = JSON.parse(r.variables.gateway_config), secret = r.variables.http_x_api_key;
  const bearer = r.variables.token_expires ? claims(r, guard.audiences) : undefined; // nginx knows it of a valid token only
  if (bearer === null) {
    errors.refuse(r, 403, 'forbidden', 'the token is meant for another server');
    return false;
  }
  const policy = bearer || (secret ? policyOf(r, secret) : null);
  if (policy === null && (guard.required || secret)) {
    errors.refuse(r, 401);
    return false;
  }
  if (policy !== null && policy.expires && timestamps.milliseconds(policy.expires) <= Date.now()) {
    errors.refuse(r, 401, 'key_expired', 'this key has expired: ask for a new one');
    return false;
  }
  const known = policy || { client: r.variables.remote_addr }, model = r.variables.model, models = known.models || ['*'];
  if (model && models.indexOf('*') < 0 && models.indexOf(model) < 0) {
    errors.refuse(r, 403, 'forbidden', 'this client may not ask ' + model);
    return false;
  }
  const limits = {};
  ['per_second', 'per_day', 'digits', 'top'].forEach((name) => {
    limits[name] = known[name] === undefined || known[name] === null ? guard[name] : known[name];
  });
  r.variables.client = known.client;
  r.variables.client_key = known.id || '';
  r.variables.priority = known.priority || '';
  r.variables.digits = limits.digits ? String(limits.digits) : '';
  r.variables.top = limits.top ? String(limits.top) : '';
  if (secret && !bearer && !guard.probing && !Object.keys(limits).some((name) => limits[name])) {
    learn(r, known);
  }
  return within(r, known.client, limits, guard);
}

// For the next second nothing of this client needs a script; nor of a model that a client made up.
function learn(r, policy) {
  if (r.variables.kind === 'infer' && roles.model(r.variables.model) !== null) {
    r.variables.policy_of_key = (policy.priority || 'normal') + ' ' + policy.id + ' ' + policy.client;
  }
}

function within(r, client, limits, guard) {
  const wait = limits.per_second ? take(client, limits.per_second) : 0;
  if (wait) {
    errors.refuse(r, 429, 'rate_limited', 'this client asks too often', { retry: wait });
    return false;
  }
  const tomorrow = limits.per_day ? spend(client, limits.per_day) : 0;
  if (tomorrow) {
    errors.refuse(r, 429, 'budget_spent', 'this client has asked as often as it may today', { retry: tomorrow });
    return false;
  }
  if (guard.probing && r.requestText && probing.suspicious(client, r.requestText)) {
    r.variables.alert = 'probing';
    ngx.log(ngx.WARN, JSON.stringify({ event: 'probing', client: client, model: r.variables.model }));
  }
  return true;
}

// Token bucket: tokens and the time of the last request, in one string.
function take(client, rate) {
  const now = Date.now();
  const size = Math.max(1, rate);
  const kept = (ngx.shared.buckets.get(client) || size + ' ' + now).split(' ').map(Number);
  const passed = Math.max(0, now - kept[1]); // a clock that was put back must not cost a client an hour's tokens
  const tokens = Math.min(size, kept[0] + (passed / 1000) * rate);
  const ok = tokens >= 1;
  ngx.shared.buckets.set(client, (ok ? tokens - 1 : tokens) + ' ' + now);
  return ok ? 0 : Math.max(1, Math.ceil((1 - tokens) / rate));
}

// Requests of today, in UTC; the dictionary outlives a restart in its file.
function spend(client, most) {
  const day = Math.floor(Date.now() / DAY_MS);
  const used = ngx.shared.budgets.incr(client + ' ' + day, 1, 0);
  return used <= most ? 0 : Math.ceil(((day + 1) * DAY_MS - Date.now()) / 1000);
}

// Whether a token may be used yet (RFC 7519, section 4.1.5): nginx looks at its end only.
function began(r) {
  return Number(r.variables.token_begins || 0) <= Date.now() / 1000 ? '1' : '';
}

// What a token says, after nginx has checked its signature, issuer and time; null where it is meant for another server.
function claims(r, wanted) {
  const scope = r.variables.token_scope, audiences = (r.variables.token_audience || '').split(',');
  if (wanted.length && !wanted.some((one) => audiences.indexOf(one) >= 0)) {
    return null;
  }
  // A subject may hold anything; it goes on in a header.
  const subject = String(r.variables.token_subject).replace(/[^ -~]/g, '_').slice(0, 128);
  return { client: 'jwt:' + subject, models: scope ? scope.split(' ') : ['*'] };
}

function enter(r) {
  if (!admit(r)) {
    return;
  }
  if (r.variables.kind !== 'infer') {
    r.internalRedirect('@' + r.variables.kind);
  } else if (roles.chosen(r)) {
    if (r.method === 'POST' || r.method === 'PUT') {
      r.internalRedirect(destination(r));
    } else {
      errors.refuse(r, 405);
    }
  }
}

function destination(r) {
  const variables = r.variables, type = (variables.http_content_type || '').toLowerCase();
  if (variables.old_answers) {
    return '@old';
  }
  const form = type.startsWith('multipart/') || type.startsWith('application/x-www-form-urlencoded');
  if (form || variables.digits || variables.top) {
    return '@scripted';
  }
  return variables.observe ? '@observed' : '@answer';
}

export default { admit, began, enter, refresh };
