// The Open Inference Protocol over gRPC: calls about the server are answered here; a prediction is passed on unchanged.
// https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto and
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
import access from 'access.js';
import errors from 'errors.js';
import models from 'models.js';
import roles from 'roles.js';
import protobuf from 'protobuf.js';

const METHODS = {
  ServerLive: (r) => reply(r, protobuf.flag(true)),
  ServerReady: async (r) => reply(r, protobuf.flag(await models.isAllReady(r))),
  ServerMetadata: serverMetadata,
  ModelReady: async (r) => reply(r, protobuf.flag(roles.choose(r) && await models.isReady(r, r.variables.model, r.variables.version))),
  ModelMetadata: modelMetadata,
  ModelInfer: infer,
};
const LONGEST = 256; // characters of a name: the log has it, and that of an archive is shorter
const OPEN = ['ServerLive', 'ServerReady'];
const UNITS = { H: 3600, M: 60, S: 1, m: 1e-3, u: 1e-6, n: 1e-9 };

async function call(r) {
  const method = r.variables.path.split('/').pop(), body = r.requestBuffer || Buffer.alloc(0);
  if (Object.keys(METHODS).indexOf(method) < 0) {
    errors.refuse(r, 501, 'unimplemented', 'there is no such method');
    return;
  }
  if (body.length && body[0] !== 0) {
    r.headersOut['grpc-accept-encoding'] = 'identity';
    errors.refuse(r, 501, 'unimplemented', 'compressed messages are not supported');
    return;
  }
  try {
    readModel(r, protobuf.unframe(body), method.startsWith('Model'));
  } catch (e) {
    errors.refuse(r, 400, 'malformed_request', e.message);
    return;
  }
  if (OPEN.indexOf(method) < 0 && !access.admit(r)) {
    return;
  }
  roles.load(r);
  await METHODS[method](r);
}

// Reads model and version: field 1 and 2 in each message about a model.
function readModel(r, message, hasModel) {
  let name = '', version = '';
  protobuf.fields(message, (field, value) => {
    name = hasModel && field === 1 ? value.toString() : name;
    version = hasModel && field === 2 ? value.toString() : version;
  });
  r.variables.model = name.slice(0, LONGEST);
  r.variables.named = version.slice(0, LONGEST);
}

function reply(r, message) {
  errors.trailers(r, 0, '');
  r.return(200, protobuf.frame(message));
}

function serverMetadata(r) {
  const server = JSON.parse(r.variables.gateway_config).server;
  const extensions = server.extensions.map((extension) => protobuf.text(3, extension));
  reply(r, Buffer.concat([protobuf.text(1, server.name), protobuf.text(2, server.version)].concat(extensions)));
}

async function modelMetadata(r) {
  const description = await models.describe(r);
  if (description !== null) {
    const fields = [protobuf.text(1, r.variables.model), protobuf.text(2, r.variables.version)];
    reply(r, Buffer.concat(fields.concat(Buffer.from(description.v2_message, 'base64'))));
  }
}

function infer(r) {
  if (!roles.chooseOrRefuse(r)) {
    return;
  }
  const timeout = /^([0-9]{1,8})([HMSmun])$/.exec(r.variables.http_grpc_timeout || '');
  if (timeout) {
    const seconds = Number(timeout[1]) * UNITS[timeout[2]];
    r.variables.deadline = String(Math.min(seconds, Number(r.variables.deadline)));
  }
  r.internalRedirect('@call');
}

// Answers a call that nginx itself refused.
function refused(r) {
  errors.refuse(r, r.variables.refused);
}

export default { call, refused };
