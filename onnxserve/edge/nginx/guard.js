// Who may ask, how often, and what an answer tells: one question of Envoy's a request.
import crypto from 'crypto';
import fs from 'fs';
import edge from 'edge.js';

const DAY_MS = 86400000;
// A probing client sends nearly the same body again and again: SimHash (M. Charikar, STOC 2002) of the last bodies,
// near when few of 64 bits differ, and an alert when most of a window is near.
const NEAR_BITS = 10;
const KEPT = 64;
const ALERT_SHARE = 0.5;

// Once a second: nginx has what the file says, and forgets what it no longer says.
function refresh(session) {
  const stamps = ngx.shared.stamps;
  let text = '{}';
  try {
    text = fs.readFileSync(session.variables.keys_file, 'utf8');
  } catch (e) {
    text = '{}'; // no file, no keys
  }
  const stamp = crypto.createHash('sha256').update(text).digest('hex');
  if (stamps.get('keys') === stamp) {
    return;
  }
  let keys;
  try {
    keys = JSON.parse(text);
  } catch (e) {
    ngx.log(ngx.ERR, 'the keys file is damaged; the keys before stay in force');
    return;
  }
  const known = ngx.shared.keys;
  Object.keys(keys).forEach((digest) => known.set(digest, JSON.stringify(keys[digest])));
  known.keys(100000).filter((digest) => !keys[digest]).forEach((digest) => known.delete(digest));
  stamps.set('keys', stamp);
}

// The client and what it may do, or null.
function identify(r) {
  const subject = r.headersIn['x-onnxserve-subject'];
  if (subject) {
    const scope = r.headersIn['x-onnxserve-scope'];
    return { client: 'jwt:' + subject, models: scope ? scope.split(' ') : ['*'] };
  }
  const secret = r.headersIn['x-api-key'];
  if (!secret) {
    return null;
  }
  const text = ngx.shared.keys.get(crypto.createHash('sha256').update(secret).digest('hex'));
  return text ? JSON.parse(text) : null;
}

function modelOf(uri) {
  const found = uri.match(/^\/authorize\/(?:predictions|v[12](?:\/grpc)?\/models)\/([^\/:]+)/);
  return found ? decodeURIComponent(found[1]) : '';
}

function limit(policy, name, fallback) {
  return policy[name] === undefined || policy[name] === null ? fallback : policy[name];
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

function simhash(body) {
  const bits = new Int32Array(64);
  const words = body.toLowerCase().match(/[a-z_]+|-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?/g) || [];
  words.forEach((whole, at) => {
    const word = whole.slice(0, 5); // what is small of a number doesn't make it another
    let a = 2166136261 ^ at, b = 40503 ^ at; // a number counts at its place
    for (let i = 0; i < word.length; i++) {
      a = Math.imul(a ^ word.charCodeAt(i), 16777619);
      b = Math.imul(b + word.charCodeAt(i), 2654435761);
    }
    for (let i = 0; i < 32; i++) {
      bits[i] += (a >>> i) & 1 ? 1 : -1;
      bits[32 + i] += (b >>> i) & 1 ? 1 : -1;
    }
  });
  let low = 0, high = 0;
  for (let i = 0; i < 32; i++) {
    low |= (bits[i] > 0 ? 1 : 0) << i;
    high |= (bits[32 + i] > 0 ? 1 : 0) << i;
  }
  return [low >>> 0, high >>> 0];
}

function ones(value) {
  let count = 0;
  for (let v = value >>> 0; v; v = (v & (v - 1)) >>> 0) {
    count++;
  }
  return count;
}

// Whether most of a client's last bodies were near an earlier one. Equal bodies are what caches and retries send.
function probing(client, body) {
  const mine = simhash(body);
  const kept = JSON.parse(ngx.shared.sketches.get(client) || '[]');
  const near = kept.some((one) => {
    const apart = ones(one[0] ^ mine[0]) + ones(one[1] ^ mine[1]);
    return apart > 0 && apart <= NEAR_BITS;
  });
  kept.push([mine[0], mine[1], near ? 1 : 0]);
  while (kept.length > KEPT) {
    kept.shift();
  }
  ngx.shared.sketches.set(client, JSON.stringify(kept));
  return kept.length === KEPT && kept.filter((one) => one[2]).length >= ALERT_SHARE * KEPT;
}

function refuse(r, status, type, reason, again) {
  r.headersOut['Content-Type'] = 'application/json';
  if (again) {
    r.headersOut['Retry-After'] = String(again);
  }
  if (status === 401) {
    r.headersOut['WWW-Authenticate'] = 'Bearer';
  }
  ngx.shared.refusals.incr(type, 1, 0);
  r.return(status, edge.worded(r, type, reason, 'edge'));
}

function authorize(r) {
  const guard = JSON.parse(r.variables.guard);
  if (!ngx.shared.stamps.get('keys')) {
    refresh(r); // the first request may come before the first second is over
  }
  const policy = identify(r);
  if (policy === null && (guard.required || r.headersIn['x-api-key'])) {
    refuse(r, 401, 'unauthenticated', 'send a valid key as x-api-key or a token as Authorization: Bearer');
    return;
  }
  const known = policy || { client: 'anonymous', models: ['*'] };
  const model = modelOf(r.uri);
  if (model && !known.models.includes('*') && !known.models.includes(model)) {
    refuse(r, 403, 'forbidden', 'this client may not ask ' + model);
    return;
  }
  const rate = limit(known, 'per_second', guard.per_second);
  const wait = rate ? take(known.client, rate) : 0;
  if (wait) {
    refuse(r, 429, 'rate_limited', 'this client asks too often', wait);
    return;
  }
  const most = limit(known, 'per_day', guard.per_day);
  const tomorrow = most ? spend(known.client, most) : 0;
  if (tomorrow) {
    refuse(r, 429, 'budget_spent', 'this client has asked as often as it may today', tomorrow);
    return;
  }
  if (guard.probing && r.requestText && probing(known.client, r.requestText)) {
    ngx.shared.alerts.incr(known.client, 1, 0);
    ngx.log(ngx.WARN, JSON.stringify({ event: 'probing', client: known.client, model: model }));
  }
  r.headersOut['x-onnxserve-client'] = known.client;
  const digits = limit(known, 'digits', guard.digits), top = limit(known, 'top', guard.top);
  if (digits) {
    r.headersOut['x-onnxserve-digits'] = String(digits);
  }
  if (top) {
    r.headersOut['x-onnxserve-top'] = String(top);
  }
  r.return(200);
}

export default { authorize, refresh };
