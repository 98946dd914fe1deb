// Times in files, as Python's side reads them too: RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339#section-5.6).
const TIME = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):?(\d\d))$/;

// Milliseconds since 1970, of whole seconds; NaN for anything else. njs itself reads times in UTC alone.
function milliseconds(text) {
  const found = typeof text === 'string' ? TIME.exec(text) : null;
  if (found === null) {
    return NaN;
  }
  const minutes = found[3] ? 60 * Number(found[4]) + Number(found[5]) : 0;
  return Date.parse(found[1] + 'T' + found[2] + 'Z') - (found[3] === '-' ? -1 : 1) * minutes * 60000;
}

export default { milliseconds };
