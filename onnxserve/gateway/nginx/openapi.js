// OpenAPI 3.1 of the models that are there, made of the signatures that they describe themselves with.
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

const NUMBER = { type: 'number', minimum: -1e30, maximum: 1e30 }; // float32 holds no more than 3.4e38
const KEY = { oneOf: [{ type: 'integer' }, { type: 'string' }] };

function object(properties, required) {
  return { type: 'object', properties: properties, required: required, additionalProperties: false };
}

function columns(names) {
  const found = {};
  names.forEach((name) => { found[name] = NUMBER; });
  return found;
}

// Whether rows can be told of it: a handler of the user's own may describe itself in another way.
function isOurs(signature) {
  const input = signature.input;
  return input && Array.isArray(input.columns) && Array.isArray(signature.labels) && typeof signature.handler === 'string';
}

// What one row may be, by kind of model; a handler of the user's own may accept anything.
function row(signature) {
  const input = signature.input, features = signature.features;
  if (input.columns.length) {
    const list = { type: 'array', items: NUMBER, minItems: input.columns.length, maxItems: input.columns.length };
    const forms = [list, object(columns(input.columns), input.columns)];
    if (features) {
      const own = input.columns.filter((name) => features.columns.indexOf(name) < 0);
      const properties = columns(input.columns);
      features.entities.forEach((name) => { properties[name] = KEY; });
      forms.push(object(properties, own.concat(features.entities)));
    }
    return { oneOf: forms };
  }
  if (signature.handler.startsWith('text:')) {
    return object({ text: { type: 'string', minLength: 1, pattern: '\\S' } }, ['text']);
  }
  if (signature.handler.startsWith('image:')) {
    return object({ image: { type: 'string', contentEncoding: 'base64' } }, ['image']);
  }
  return {};
}

function prediction(signature) {
  if (!signature.labels.length) {
    return object({ values: { type: 'array', items: { type: 'number' } } }, ['values']);
  }
  const score = { type: 'number', minimum: 0, maximum: 1 };
  return object({ label: { type: 'string', enum: signature.labels }, score: score }, ['label', 'score']);
}

function json(schema, description) {
  return { description: description, content: { 'application/json': { schema: schema } } };
}

function refused(list) {
  const found = {};
  list.forEach((status) => { found[status] = json({ $ref: '#/components/schemas/Error' }, ERRORS[status]); });
  return found;
}

function paths(name, version, signature) {
  const schema = name + '.row', text = { type: 'string' };
  const instances = { type: 'array', items: { $ref: '#/components/schemas/' + schema }, minItems: 1 };
  instances.maxItems = signature.input.max_rows;
  const many = object({ instances: instances }, ['instances']);
  const body = (one) => ({ required: true, content: { 'application/json': { schema: one } } });
  const errors = refused([400, 401, 403, 413, 415, 422, 429, 503, 504]);
  const answered = object({
    predictions: { type: 'array', items: prediction(signature) }, model: text, version: text,
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
  found['/predictions/' + name] = post('predict', { anyOf: [many, { $ref: '#/components/schemas/' + schema }] });
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
    const model = await models.about(r, listed[i].modelName);
    const signature = model && model.customizedMetadata && model.customizedMetadata.signature;
    if (!signature || !isOurs(signature)) {
      continue;
    }
    found.components.schemas[model.modelName + '.row'] = row(signature);
    Object.assign(found.paths, paths(model.modelName, model.modelVersion, signature));
  }
  r.headersOut['Content-Type'] = 'application/json';
  r.return(200, JSON.stringify(found));
}

export default { openapi };
