// Access: which client sends a request, whether it may, how often, and how much of an answer it gets.
import crypto from 'crypto';
import fs from 'fs';
import errors from 'errors.js';
import named from 'named.js';
import probing from 'probing.js';
import roles from 'roles.js';
import timestamps from 'timestamps.js';

const DAY_MS = 86400000;
const STAMP = '#stamp'; // holds the digest of the keys file; the other entries are named by digests of keys
const DIGEST = /^[0-9a-f]{64}$/;
const ID = 12; // digits of a digest that name its key in the log
const MANY = 1000000; // more keys than fit in the zone

// Once a second: load the keys file into shared memory if it changed, and drop removed keys.
function refresh(session) {
  const text = read(session.variables.keys_file), stored = ngx.shared.keys;
  const digest = crypto.createHash('sha256').update(text).digest('hex');
  if (stored.get(STAMP) === digest) {
    return;
  }
  const keys = parse(text);
  if (keys === null) {
    ngx.log(ngx.ERR, 'the keys file is damaged; the previous keys stay in force');
    return;
  }
  stored.keys(MANY).filter((digest) => !keys[digest]).forEach((digest) => stored.delete(digest));
  try {
    Object.keys(keys).forEach((digest) => stored.set(digest, JSON.stringify(keys[digest])));
  } catch (e) {
    ngx.log(ngx.ERR, 'the keys file has more keys than fit in shared memory; some are ignored');
  }
  stored.set(STAMP, digest);
}

function read(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (e) {
    return '{}'; // a missing file has no keys
  }
}

// Keys by digest; null for a damaged file.
function parse(text) {
  try {
    const keys = JSON.parse(text), isEntry = (digest) => DIGEST.test(digest) && isKey(keys[digest]);
    return typeof keys === 'object' && !Array.isArray(keys) && Object.keys(keys).every(isEntry) ? keys : null;
  } catch (e) {
    return null;
  }
}

function isKey(key) {
  return typeof key.client === 'string' && (key.models === undefined || Array.isArray(key.models)) &&
    (key.scopes === undefined || Array.isArray(key.scopes)) &&
    (key.expires === undefined || key.expires === null || !isNaN(timestamps.milliseconds(key.expires)));
}

function policyOf(r, secret) {
  if (!ngx.shared.keys.get(STAMP)) {
    refresh(r); // a request may come before the first periodic refresh
  }
  const digest = crypto.createHash('sha256').update(secret).digest('hex'), text = ngx.shared.keys.get(digest);
  return text ? Object.assign(JSON.parse(text), { id: digest.slice(0, ID) }) : null;
}

// Returns whether the request may go on; otherwise refuses it.
function admit(r) {
  const guard = JSON.parse(r.variables.gateway_config), apiKey = r.variables.http_x_api_key;
  const secret = apiKey || named.bearerKey(r);
  const bearer = r.variables.token_expires ? claims(r, guard.audiences) : undefined; // set for a valid token only
  if (bearer === null) {
    errors.refuse(r, 403, 'forbidden', 'the token is meant for another server');
    return false;
  }
  const policy = bearer || (secret ? policyOf(r, secret) : null);
  if (policy === null && (guard.required || apiKey)) {
    errors.refuse(r, 401);
    return false;
  }
  if (policy !== null && policy.expires && timestamps.milliseconds(policy.expires) <= Date.now()) {
    errors.refuse(r, 401, 'key_expired', 'this key has expired: ask for a new one');
    return false;
  }
  if (policy !== null && policy.scopes && policy.scopes.indexOf('predict') < 0) {
    errors.refuse(r, 403, 'forbidden', 'this key is for the console and may not ask models');
    return false;
  }
  if (!named.readModel(r)) { // only now, since a large body takes long to parse
    return false;
  }
  const rights = policy || { client: r.variables.remote_addr }, model = r.variables.model, models = rights.models || ['*'];
  if (model && models.indexOf('*') < 0 && models.indexOf(model) < 0) {
    errors.refuse(r, 403, 'forbidden', 'this client may not use the model ' + model);
    return false;
  }
  const limits = {};
  ['per_second', 'per_day', 'digits', 'top'].forEach((name) => {
    limits[name] = rights[name] === undefined || rights[name] === null ? guard[name] : rights[name];
  });
  r.variables.client = rights.client;
  r.variables.client_key = rights.id || '';
  r.variables.priority = rights.priority || '';
  r.variables.digits = limits.digits ? String(limits.digits) : '';
  r.variables.top = limits.top ? String(limits.top) : '';
  if (apiKey && !bearer && !guard.probing && !Object.keys(limits).some((name) => limits[name])) {
    remember(r, rights);
  }
  return checkLimits(r, rights.client, limits, guard);
}

// For the next second requests of this key to this model need no script; a model that doesn't exist isn't remembered.
function remember(r, policy) {
  if (r.variables.kind === 'infer' && roles.model(r.variables.model) !== null) {
    r.variables.policy_of_key = (policy.priority || 'normal') + ' ' + policy.id + ' ' + policy.client;
  }
}

function checkLimits(r, client, limits, guard) {
  const wait = limits.per_second ? take(client, limits.per_second) : 0;
  if (wait) {
    errors.refuse(r, 429, 'rate_limited', 'this client sends requests too often', { retry: wait });
    return false;
  }
  const tomorrow = limits.per_day ? spend(client, limits.per_day) : 0;
  if (tomorrow) {
    errors.refuse(r, 429, 'budget_spent', 'this client has used up its requests of today', { retry: tomorrow });
    return false;
  }
  if (guard.probing && r.requestText && probing.suspicious(client, r.requestText)) {
    r.variables.alert = 'probing';
    ngx.log(ngx.WARN, JSON.stringify({ event: 'probing', client: client, model: r.variables.model }));
  }
  return true;
}

// Token bucket, stored as one string: tokens and the time of the last request. Returns the seconds to wait.
function take(client, rate) {
  const now = Date.now();
  const size = Math.max(1, rate);
  const kept = (ngx.shared.buckets.get(client) || size + ' ' + now).split(' ').map(Number);
  const passed = Math.max(0, now - kept[1]); // a clock that is set back must not cost a client its tokens
  const tokens = Math.min(size, kept[0] + (passed / 1000) * rate);
  const ok = tokens >= 1;
  ngx.shared.buckets.set(client, (ok ? tokens - 1 : tokens) + ' ' + now);
  return ok ? 0 : Math.max(1, Math.ceil((1 - tokens) / rate));
}

// Counts the requests of a UTC day; a file keeps the counts over a restart. Returns the seconds to wait.
function spend(client, most) {
  const day = Math.floor(Date.now() / DAY_MS);
  const used = ngx.shared.budgets.incr(client + ' ' + day, 1, 0);
  return used <= most ? 0 : Math.ceil(((day + 1) * DAY_MS - Date.now()) / 1000);
}

// Whether a token is valid already (RFC 7519, section 4.1.5); nginx checks its expiry only.
function began(r) {
  return Number(r.variables.token_begins || 0) <= Date.now() / 1000 ? '1' : '';
}

// The rights that a token gives, after nginx has checked signature, issuer and time; null for another audience.
function claims(r, wanted) {
  const scope = r.variables.token_scope, audiences = (r.variables.token_audience || '').split(',');
  if (wanted.length && !wanted.some((audience) => audiences.indexOf(audience) >= 0)) {
    return null;
  }
  // A subject may be any text, and a header passes it on.
  const subject = String(r.variables.token_subject).replace(/[^ -~]/g, '_').slice(0, 128);
  return { client: 'jwt:' + subject, models: scope ? scope.split(' ') : ['*'] };
}

function enter(r) {
  if (!admit(r)) {
    return;
  }
  if (r.variables.kind !== 'infer') {
    r.internalRedirect('@' + r.variables.kind);
  } else if (roles.chooseOrRefuse(r)) {
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
