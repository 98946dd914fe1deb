// Roles in shared memory, as the release tool set them, and the choice of the version that answers a request.
import crypto from 'crypto';
import fs from 'fs';
import errors from 'errors.js';

const OLD_ANSWERS = 2, SMALLER = 3; // levels of the brown-out ladder
const SCRIPTED = '*';

// The control socket, which only the server's user can open: GET reports the roles in force, POST puts others in force.
function control(r) {
  if (r.method === 'POST') {
    apply(r, JSON.parse(r.requestText));
  }
  report(r);
}

function report(r) {
  const roles = ngx.shared.roles, generation = Number(roles.get('generation') || 0);
  r.return(200, JSON.stringify({ generation: generation, digest: roles.get('digest') || '' }));
}

// Sets whether the disk is full (`1`): nginx then caches nothing, since it loses an answer that it can't write.
function disk(r) {
  write(r, r.variables.disk, r.requestText);
  report(r);
}

function write(r, key, route) {
  r.variables.written_key = key;
  r.variables.written_route = route;
}

// The route of requests that name no version: the stable version, or a script's choice.
function routeOf(name) {
  const roles = model(name);
  if (roles === null) {
    return '';
  }
  const ejected = fallback(roles, roles.stable) && isEjected(name, roles.stable);
  return roles.scripted || ejected ? SCRIPTED : roles.stable;
}

// A process of nginx may write a route when an ejection begins or ends while another puts other roles in force. So each
// checks the route after writing, and the last writer writes what is in force.
function settle(r, name) {
  let route;
  do {
    route = routeOf(name);
    write(r, name + '/', route);
  } while (routeOf(name) !== route);
}

// Whether a table has a name itself: every table inherits `constructor`, which a model may be called.
function has(table, name) {
  return Object.prototype.hasOwnProperty.call(table, name);
}

// Another process of nginx may answer meanwhile, so a version is stored before its route and removed after it.
function apply(r, document) {
  const before = JSON.parse(ngx.shared.roles.get('routes') || '[]');
  Object.keys(document.models).forEach((name) => {
    ngx.shared.roles.set('model ' + name, JSON.stringify(document.models[name]));
  });
  Object.keys(document.routes).filter((key) => !key.endsWith('/')).forEach((key) => write(r, key, document.routes[key]));
  Object.keys(document.models).forEach((name) => settle(r, name));
  before.filter((key) => !has(document.routes, key)).forEach((key) => write(r, key, ''));
  names().filter((name) => !has(document.models, name)).forEach((name) => ngx.shared.roles.delete('model ' + name));
  ngx.shared.roles.set('routes', JSON.stringify(Object.keys(document.routes)));
  ngx.shared.roles.set('generation', String(document.generation));
  ngx.shared.roles.set('digest', document.digest);
}

// After a start, load the roles that were in force before.
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

// The versions that get requests which name no version.
function serving(name) {
  const roles = model(name);
  return roles.canary && roles.canary.percent > 0 ? [roles.stable, roles.canary.version] : [roles.stable];
}

// The version to fall back to when `version` can't answer; empty if there is none.
function fallback(roles, version) {
  return version === roles.stable ? roles.fallback : roles.stable;
}

function isEjected(name, version) {
  return ngx.shared.ejected.get(name + '/' + version) !== undefined;
}

// Ejects a failing version for a while: it gets no second try, and no request if another version can answer.
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

// Sets the version of a request and the variables for its roles; false if the model or version doesn't exist.
function choose(r) {
  const name = r.variables.model, named = r.variables.named || '', roles = model(name);
  if (roles === null || (named && Object.keys(roles.versions).indexOf(named) < 0)) {
    return false;
  }
  r.variables.version = named || plan(r, name, roles);
  return true;
}

// The same, and refuses a request for a model or version that doesn't exist.
function chooseOrRefuse(r) {
  load(r);
  const chosen = choose(r);
  if (!chosen) {
    errors.refuse(r, 404);
  }
  return chosen;
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
    settle(r, name); // the ejection has ended
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

export default { control, disk, load, model, names, serving, fallback, isEjected, eject, choose, chooseOrRefuse };
