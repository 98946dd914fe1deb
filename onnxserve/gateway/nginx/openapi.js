// The OpenAPI 3.1 document of the served models: the gateway's paths, and the schemas that models give.
import errors from 'errors.js';
import models from 'models.js';

const TEXT = { type: 'string' };
const REASONS = { type: 'object', properties: { type: TEXT, reason: TEXT, where: TEXT, fix: TEXT }, required: ['type', 'reason'] };
const ERROR = { type: 'object', properties: { error: REASONS, model: TEXT, version: TEXT }, required: ['error'] };
const DENIED = [401, 403], FAILED = [503, 504, 529]; // the gateway's numbers of errors

function object(properties) {
  return { type: 'object', properties: properties, required: Object.keys(properties), additionalProperties: false };
}

function json(description, schema) {
  return { description: description, content: { 'application/json': { schema: schema } } };
}

// Error answers by status: errors of the gateway, and others with their descriptions.
function refusals(r, own, others) {
  const answers = {}, schema = { $ref: '#/components/schemas/Error' };
  own.map((number) => errors.known(r, number)).forEach((error) => { answers[error[0]] = json(error[2], schema); });
  Object.keys(others).forEach((status) => { answers[status] = json(others[status], schema); });
  return answers;
}

function paths(r, name, version, schemas) {
  const row = { $ref: '#/components/schemas/' + name + '.row' };
  const many = object({ instances: { type: 'array', items: row, minItems: 1, maxItems: schemas.max_rows } });
  if (Object.keys(schemas.parameters || {}).length) { // optional, as each of them is
    many.properties.parameters = { type: 'object', properties: schemas.parameters, additionalProperties: false };
  }
  const answer = object({ predictions: { type: 'array', items: schemas.prediction }, model: TEXT, version: TEXT });
  const ready = object({ name: TEXT, version: TEXT, ready: { type: 'boolean' } });
  const operation = (id, summary, responses, requestBody) => ({
    operationId: id + '.' + name, tags: [name], summary: summary, responses: responses, requestBody: requestBody,
  });
  const post = (id, schema) => ({
    post: operation(id, name + ' ' + version + ': ' + id,
      Object.assign(refusals(r, DENIED.concat(FAILED), schemas.errors || {}), { 200: json('One prediction a row.', answer) }),
      { required: true, content: { 'application/json': { schema: schema } } }),
  });
  const get = (id, summary, schema, responses) => ({
    get: operation(id, summary, Object.assign(responses, { 200: json(summary, schema) })),
  });
  const v2 = '/v2/models/' + name, unready = { 503: json('It can not answer now.', ready) };
  return {
    ['/predictions/' + name]: post('predict', { anyOf: [many, row] }),
    ['/v1/models/' + name + ':predict']: post('v1', many),
    [v2]: get('metadata', 'Tensors of the Open Inference Protocol.', { type: 'object' }, refusals(r, DENIED.concat(503), {})),
    [v2 + '/ready']: get('ready', 'Whether the model can answer.', ready, Object.assign(refusals(r, DENIED, {}), unready)),
  };
}

// A model whose input is unknown, since its handler was written for TorchServe: any body, any answer.
function unknownPaths(r, name) {
  const any = { '*/*': { schema: {} } };
  return { ['/predictions/' + name]: { post: {
    operationId: 'predict.' + name, tags: [name], summary: name + ': unknown input',
    requestBody: { required: true, content: any },
    responses: Object.assign(refusals(r, DENIED.concat(FAILED), {}), { 200: { description: 'What its handler answers.', content: any } }),
  } } };
}

// The paths of other servers' forms, by the names of the models that have their task.
function formPaths(r, byTask) {
  const listOf = (item) => ({ type: 'array', items: item });
  const post = (id, summary, names, properties, required, answer) => ({ post: {
    operationId: id, tags: [id], summary: summary, responses: { 200: json(summary, answer) },
    requestBody: { required: true, content: { 'application/json': { schema: {
      type: 'object', properties: Object.assign({ model: { type: 'string', enum: names } }, properties), required: required,
    } } } },
  } });
  const paths = {}, number = { type: 'number' }, count = { type: 'integer', minimum: 0 };
  if (byTask.embedding) {
    const vector = { anyOf: [listOf(number), TEXT] }, usage = object({ prompt_tokens: count, total_tokens: count });
    const data = listOf(object({ object: TEXT, index: count, embedding: vector }));
    paths['/v1/embeddings'] = post('embeddings', 'A vector for each text.', byTask.embedding,
      { input: { anyOf: [TEXT, listOf(TEXT)] }, encoding_format: { enum: ['float', 'base64'] }, dimensions: { type: 'integer', minimum: 1 } },
      ['model', 'input'], object({ object: TEXT, data: data, model: TEXT, usage: usage }));
  }
  if (byTask.rerank) {
    const document = { anyOf: [TEXT, object({ text: TEXT })] }, properties = { index: count, relevance_score: number, document: object({ text: TEXT }) };
    const results = listOf({ type: 'object', properties: properties, required: ['index', 'relevance_score'] });
    paths['/rerank'] = post('rerank', 'The documents, the most relevant first.', byTask.rerank,
      { query: TEXT, documents: listOf(document), top_n: { type: 'integer', minimum: 1 }, return_documents: { type: 'boolean' } },
      ['model', 'query', 'documents'], object({ model: TEXT, results: results, usage: object({ total_tokens: count }) }));
  }
  return paths;
}

async function openapi(r) {
  const listed = await models.listed(r), byTask = Object.create(null); // a handler names its task
  const document = {
    openapi: '3.1.0',
    info: { title: 'onnxserve', version: '1', description: 'Models that are served here.' },
    paths: {},
    components: { schemas: { Error: ERROR } },
  };
  for (let i = 0; i < listed.length; i++) {
    const name = listed[i].modelName, about = await models.about(r, name), schemas = about.openapi;
    if (schemas && schemas.row && schemas.prediction) { // an older archive, or another exporter's, has neither
      document.components.schemas[name + '.row'] = schemas.row;
      Object.assign(document.paths, paths(r, name, about.signature.version, schemas));
      const task = (about.signature.output || {}).task;
      byTask[task] = (byTask[task] || []).concat(name);
    } else if (about.evidence && about.evidence.migrated) {
      Object.assign(document.paths, unknownPaths(r, name));
    }
  }
  Object.assign(document.paths, formPaths(r, byTask));
  models.send(r, document);
}

export default { openapi };
