// Which version answers: the roles as the release tool gave them, in shared memory; and the choice where there are several.
import crypto from 'crypto';
import fs from 'fs';
import errors from 'errors.js';

const OLD_ANSWERS = 2, SMALLER = 3; // levels of the brown-out ladder
const SCRIPTED = '*';

// The socket that only the server's own user can open: GET says what is in force, POST puts other roles in force.
function control(r) {
  if (r.method === 'POST') {
    apply(r, JSON.parse(r.requestText));
  }
  report(r);
}

function report(r) {
  const kept = ngx.shared.roles, generation = Number(kept.get('generation') || 0);
  r.return(200, JSON.stringify({ generation: generation, digest: kept.get('digest') || '' }));
}

// Whether the disk has room for answers: nginx loses one that it can't write. `1` says that it has none.
function disk(r) {
  write(r, r.variables.disk, r.requestText);
  report(r);
}

function write(r, key, route) {
  r.variables.written_key = key;
  r.variables.written_route = route;
}

// What answers a request that names no version: the stable one, or a script's choice.
function routeOf(name) {
  const roles = model(name);
  if (roles === null) {
    return '';
  }
  const ejected = fallback(roles, roles.stable) && isEjected(name, roles.stable);
  return roles.scripted || ejected ? SCRIPTED : roles.stable;
}

// Each process of nginx may write a route when an ejection begins or ends, and another one put other roles in force
// meanwhile: whoever writes looks again afterwards, so that the last one writes what is in force.
function settle(r, name) {
  let route;
  do {
    route = routeOf(name);
    write(r, name + '/', route);
  } while (routeOf(name) !== route);
}

// Another process of nginx may answer meanwhile: what a route leads to is there before the route, and gone after it.
function apply(r, document) {
  const before = JSON.parse(ngx.shared.roles.get('routes') || '[]');
  Object.keys(document.models).forEach((name) => {
    ngx.shared.roles.set('model ' + name, JSON.stringify(document.models[name]));
  });
  Object.keys(document.routes).filter((key) => !key.endsWith('/')).forEach((key) => write(r, key, document.routes[key]));
  Object.keys(document.models).forEach((name) => settle(r, name));
  before.filter((key) => document.routes[key] === undefined).forEach((key) => write(r, key, ''));
  names().filter((name) => !document.models[name]).forEach((name) => ngx.shared.roles.delete('model ' + name));
  ngx.shared.roles.set('routes', JSON.stringify(Object.keys(document.routes)));
  ngx.shared.roles.set('generation', String(document.generation));
  ngx.shared.roles.set('digest', document.digest);
}

// A gateway that has just begun takes up what was in force before.
function load(r) {
  if (!ngx.shared.roles.get('digest')) {
    try {
      apply(r, JSON.parse(fs.readFileSync(r.variables.roles_file, 'utf8')));
    } catch (e) {
      ngx.log(ngx.ERR, 'the roles can not be read: ' + e.message);
    }
  }
}

function model(name) {
  const text = ngx.shared.roles.get('model ' + name);
  return text ? JSON.parse(text) : null;
}

function names() {
  return ngx.shared.roles.keys(10000).filter((key) => key.startsWith('model ')).map((key) => key.slice(6));
}

// Versions that get requests which name none.
function serving(name) {
  const roles = model(name);
  return roles.canary && roles.canary.percent > 0 ? [roles.stable, roles.canary.version] : [roles.stable];
}

// The version to fall back to when `version` can't answer; empty where there is none.
function fallback(roles, version) {
  return version === roles.stable ? roles.fallback : roles.stable;
}

function isEjected(name, version) {
  return ngx.shared.ejected.get(name + '/' + version) !== undefined;
}

// A version that is ill is not tried twice for a while, nor at all if another can answer.
function eject(r, name, version, milliseconds) {
  ngx.shared.ejected.set(name + '/' + version, '1', milliseconds);
  settle(r, name);
}

function inCanary(r, canary) {
  const sticky = canary.key ? r.variables['http_' + canary.key.toLowerCase().replace(/-/g, '_')] : '';
  const seed = sticky || r.variables.request_id;
  const digest = crypto.createHash('md5').update(canary.version + ' ' + seed).digest('hex');
  return parseInt(digest.slice(0, 6), 16) / 0x1000000 * 100 < canary.percent;
}

// Sets the version for a request and what else its roles want; false where there is no such model or version.
function choose(r) {
  const name = r.variables.model, named = r.variables.named || '', roles = model(name);
  if (roles === null || (named && Object.keys(roles.versions).indexOf(named) < 0)) {
    return false;
  }
  r.variables.version = named || plan(r, name, roles);
  return true;
}

// The same, and a request for what isn't there is refused.
function chosen(r) {
  load(r);
  const is = choose(r);
  if (!is) {
    errors.refuse(r, 404);
  }
  return is;
}

function plan(r, name, roles) {
  let version = roles.stable;
  if (roles.level >= SMALLER && roles.smaller) {
    version = roles.smaller;
    r.variables.degraded_by = 'smaller';
  } else if (roles.canary && inCanary(r, roles.canary)) {
    version = roles.canary.version;
  }
  const other = fallback(roles, version);
  if (other && isEjected(name, version)) {
    r.variables.degraded_by = 'fallback';
    version = other;
  } else if (!roles.scripted) {
    settle(r, name); // an ejection has ended
  }
  r.variables.old_answers = roles.level >= OLD_ANSWERS ? '1' : '';
  if (roles.canary || roles.shadow) {
    r.variables.observe = '1';
  }
  if (roles.shadow && roles.level === 0 && Math.random() * 100 < roles.shadow.percent) {
    r.variables.shadow = roles.shadow.version;
  }
  return version;
}

export default { control, disk, load, model, names, serving, fallback, isEjected, eject, choose, chosen };
