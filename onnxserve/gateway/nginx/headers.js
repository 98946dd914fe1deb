// A request's header as text. Its bytes may be anything, and r.headersIn throws for what is no UTF-8.
function header(r, name) {
  const raw = r.rawVariables['http_' + name.toLowerCase().replace(/-/g, '_')];
  return raw === undefined ? '' : Buffer.from(raw).toString();
}

export default { header };
