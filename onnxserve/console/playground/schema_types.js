// TypeScript's types for JSON schemas, as the snippets need them.

const MOST_NAMES = 6, MOST_FIELDS = 12; // that are written out
const SIMPLE = new Map([['string', 'string'], ['number', 'number'], ['integer', 'number'], ['boolean', 'boolean'], ['null', 'null']]);

// Returns the type of a schema; `unknown` for one that says nothing, or more than these words can.
export function typeOf(schema = {}) {
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' | ');
  if (schema.enum?.length <= MOST_NAMES) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ type })).join(' | ');
  if (schema.type === 'array') return `Array<${typeOf(schema.items)}>`;
  return schema.type === 'object' ? objectType(schema) : SIMPLE.get(schema.type) || 'unknown';
}

function objectType({ properties = {}, required = [], additionalProperties }) {
  const types = new Set(Object.values(properties).map(typeOf)), names = Object.keys(properties);
  if (names.length > MOST_FIELDS && types.size === 1) return `Record<string, ${[...types][0]}>`;
  const fields = names.map((name) => `${key(name)}${required.includes(name) ? '' : '?'}: ${typeOf(properties[name])}`);
  if (fields.length) return `{ ${fields.join('; ')} }`;
  return `Record<string, ${typeof additionalProperties === 'object' ? typeOf(additionalProperties) : 'unknown'}>`;
}

function key(name) {
  return /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
}
