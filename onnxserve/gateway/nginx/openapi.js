// OpenAPI 3.1 of the models that are there, made of the schemas that they describe themselves with.
import models from 'models.js';

const ERRORS = {
  400: 'The body is not what its content type says.',
  401: 'No valid key or token.',
  403: 'This client may not ask this model.',
  413: 'More bytes or rows than the model accepts.',
  415: 'A content type that the model does not read.',
  422: 'A row outside the signature; `where` says which.',
  429: 'Too many requests; retry after `Retry-After`.',
  503: 'No worker, or no feature store, can answer now.',
  504: 'No answer within the deadline.',
};

function object(properties, required) {
  return { type: 'object', properties: properties, required: required, additionalProperties: false };
}

function json(schema, description) {
  return { description: description, content: { 'application/json': { schema: schema } } };
}

function refused(list) {
  const found = {};
  list.forEach((status) => { found[status] = json({ $ref: '#/components/schemas/Error' }, ERRORS[status]); });
  return found;
}

function paths(name, version, schemas) {
  const row = { $ref: '#/components/schemas/' + name + '.row' }, text = { type: 'string' };
  const instances = { type: 'array', items: row, minItems: 1, maxItems: schemas.max_rows };
  const many = object({ instances: instances }, ['instances']);
  const body = (one) => ({ required: true, content: { 'application/json': { schema: one } } });
  const errors = refused([400, 401, 403, 413, 415, 422, 429, 503, 504]);
  const answered = object({
    predictions: { type: 'array', items: schemas.prediction }, model: text, version: text,
  }, ['predictions', 'model', 'version']);
  const post = (id, one) => ({
    post: {
      operationId: id + '.' + name, tags: [name], summary: name + ' ' + version + ': ' + id,
      requestBody: body(one), responses: Object.assign({ 200: json(answered, 'One prediction a row.') }, errors),
    },
  });
  const get = (id, what, schema_, statuses) => ({
    get: {
      operationId: id + '.' + name, tags: [name], summary: what,
      responses: Object.assign({ 200: json(schema_, what) }, refused(statuses)),
    },
  });
  const ready = object({ name: text, version: text, ready: { type: 'boolean' } }, ['ready']);
  const found = {};
  found['/predictions/' + name] = post('predict', { anyOf: [many, row] });
  found['/v1/models/' + name + ':predict'] = post('v1', many);
  found['/v2/models/' + name + '/ready'] = get('ready', 'Whether the model can answer.', ready, [401, 403]);
  found['/v2/models/' + name + '/ready'].get.responses[503] = json(ready, 'It can not answer now.');
  found['/v2/models/' + name] = get('metadata', 'Tensors of the Open Inference Protocol.', { type: 'object' }, [401, 403, 503]);
  return found;
}

function error() {
  const text = { type: 'string' };
  const one = { type: 'object', properties: { type: text, reason: text, where: text, fix: text }, required: ['type', 'reason'] };
  return { type: 'object', properties: { error: one, model: text, version: text }, required: ['error'] };
}

async function openapi(r) {
  const listed = await models.listed(r);
  const found = {
    openapi: '3.1.0',
    info: { title: 'onnxserve', version: '1', description: 'Models that are served here.' },
    paths: {},
    components: { schemas: { Error: error() } },
  };
  for (let i = 0; i < listed.length; i++) {
    const name = listed[i].modelName, about = await models.about(r, name), schemas = about.openapi;
    if (schemas && schemas.row && schemas.prediction) { // an older archive, or another's, describes neither
      found.components.schemas[name + '.row'] = schemas.row;
      Object.assign(found.paths, paths(name, about.signature.version, schemas));
    }
  }
  r.headersOut['Content-Type'] = 'application/json';
  r.return(200, JSON.stringify(found));
}

export default { openapi };
