// Protobuf's wire format, as much of it as the gateway needs (https://protobuf.dev/programming-guides/encoding/).
const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;

function varint(bytes, at) {
  let value = 0, scale = 1;
  for (let i = 0; i < 10; i++) {
    if (at + i >= bytes.length) {
      break;
    }
    const byte = bytes[at + i];
    value += (byte & 127) * scale;
    scale *= 128;
    if (byte < 128) {
      return [value, at + i + 1];
    }
  }
  throw new Error('a number has no end');
}

// Calls `see(field, value)` for each field: numbers for varints, Buffers for bytes; throws for what is no message.
function fields(bytes, see) {
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at), kind = tag[0] % 8, field = Math.floor(tag[0] / 8);
    at = tag[1];
    if (field === 0) {
      throw new Error('a field has no number');
    }
    if (kind === VARINT) {
      const value = varint(bytes, at);
      see(field, value[0]);
      at = value[1];
    } else if (kind === BYTES) {
      const size = varint(bytes, at), end = size[1] + size[0];
      if (end > bytes.length) {
        throw new Error('a field is longer than the message');
      }
      see(field, bytes.subarray(size[1], end));
      at = end;
    } else if (kind === FIXED64 || kind === FIXED32) {
      at += kind === FIXED64 ? 8 : 4;
      if (at > bytes.length) {
        throw new Error('a field is longer than the message');
      }
    } else {
      throw new Error('a field of kind ' + kind);
    }
  }
}

// A number in groups of seven bits; a negative one takes all ten of 64 bits.
function number(value) {
  const made = [];
  let low = value >>> 0, high = Math.floor(value / 0x100000000) >>> 0;
  while (high > 0 || low > 127) {
    made.push((low & 127) | 128);
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high = high >>> 7;
  }
  made.push(low);
  return made;
}

function scalar(field, value) {
  return Buffer.from(number(field * 8 + VARINT).concat(number(value)));
}

function text(field, value) {
  const content = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from(number(field * 8 + BYTES).concat(number(content.length))), content]);
}

function packed(field, values) {
  return text(field, Buffer.from(values.reduce((all, value) => all.concat(number(value)), [])));
}

// One message of gRPC: whether it is compressed, its length, itself.
function framed(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function unframed(bytes) {
  if (bytes.length < 5 || bytes.readUInt32BE(1) !== bytes.length - 5) {
    throw new Error('not one whole message');
  }
  return bytes.subarray(5);
}

export default { fields, scalar, text, packed, framed, unframed };
