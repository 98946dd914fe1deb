// The part of protobuf's wire format that the gateway needs (https://protobuf.dev/programming-guides/encoding/).
const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;

function varint(bytes, at) {
  let value = 0, scale = 1;
  for (let i = at; i < Math.min(at + 10, bytes.length); i++) {
    value += (bytes[i] & 127) * scale;
    scale *= 128;
    if (bytes[i] < 128) {
      return { value: value, end: i + 1 };
    }
  }
  throw new Error('a varint has no end');
}

// Calls `see(field, bytes)` for each field of bytes and skips numbers; throws if the bytes aren't a message.
function fields(bytes, see) {
  let at = 0;
  while (at < bytes.length) {
    const tag = varint(bytes, at), kind = tag.value % 8, field = Math.floor(tag.value / 8);
    let start = tag.end, end = 0;
    if (field === 0) {
      throw new Error('a field has no number');
    }
    if (kind === VARINT) {
      end = varint(bytes, start).end;
    } else if (kind === BYTES) {
      const size = varint(bytes, start);
      start = size.end;
      end = start + size.value;
    } else if (kind === FIXED64 || kind === FIXED32) {
      end = start + (kind === FIXED64 ? 8 : 4);
    } else {
      throw new Error('a field has the unknown wire type ' + kind);
    }
    if (end > bytes.length) {
      throw new Error('a field is longer than the message');
    }
    if (kind === BYTES) {
      see(field, bytes.subarray(start, end));
    }
    at = end;
  }
}

// A message whose field 1 is a boolean.
function flag(value) {
  return Buffer.from([8, value ? 1 : 0]);
}

function text(field, value) {
  const content = Buffer.from(value), head = [field * 8 + BYTES];
  for (let size = content.length; size > 0 || head.length < 2; size = size >>> 7) {
    head.push(size > 127 ? (size & 127) | 128 : size);
  }
  return Buffer.concat([Buffer.from(head), content]);
}

// gRPC's frame of a message: a compression flag, the length, the message.
function frame(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function unframe(bytes) {
  if (bytes.length < 5 || bytes.readUInt32BE(1) !== bytes.length - 5) {
    throw new Error('the body is not exactly one message');
  }
  return bytes.subarray(5);
}

export default { fields, flag, text, frame, unframe };
