// Timestamps in files, in the format of RFC 3339, which the Python code writes too (https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;

// Milliseconds since 1970, to the second; NaN for anything else. njs itself parses UTC only.
function milliseconds(text) {
  const match = typeof text === 'string' ? TIME.exec(text) : null;
  if (match === null) {
    return NaN;
  }
  const minutes = match[3] ? 60 * Number(match[4]) + Number(match[5]) : 0;
  return Date.parse(match[1] + 'T' + match[2] + 'Z') - (match[3] === '-' ? -1 : 1) * minutes * 60000;
}

export default { milliseconds };
