// Tables that are pasted as text, with commas, semicolons or tabs between their cells (RFC 4180).

const SEPARATORS = [',', ';', '\t'];

// Returns the records of a text, each a list of cells; empty lines are left out.
export function records(text) {
  const separator = separatorOf(text), lines = [[]];
  let cell = '', isQuoted = false;
  const endCell = () => { lines.at(-1).push(cell); cell = ''; };
  for (let place = 0; place < text.length; place += 1) {
    const character = text[place];
    if (isQuoted && character === '"' && text[place + 1] === '"') cell += text[place += 1];
    else if (character === '"' && (isQuoted || !cell)) isQuoted = !isQuoted;
    else if (isQuoted) cell += character;
    else if (character === separator) endCell();
    else if (character === '\n') { endCell(); lines.push([]); } else if (character !== '\r') cell += character;
  }
  endCell();
  return lines.filter((line) => line.length > 1 || line[0].trim());
}

// The separator that the first line has most of.
function separatorOf(text) {
  const line = text.trimStart().split('\n')[0], count = (separator) => line.split(separator).length;
  return SEPARATORS.reduce((best, separator) => (count(separator) > count(best) ? separator : best));
}

// Returns the rows of a text as objects by column, and the place of the first row among the text's records. The first
// record is a header if all its cells are names of columns; else cells stand in the order of the columns.
export function table(text, names) {
  const all = records(text), known = new Set(names);
  const header = all[0]?.map((cell) => cell.trim()), hasHeader = Boolean(header?.every((cell) => known.has(cell)));
  const columns = hasHeader ? header : names, body = hasHeader ? all.slice(1) : all;
  const short = body.findIndex((cells) => cells.length !== columns.length);
  if (short >= 0) throw new RangeError(`row ${short + 1} has ${body[short].length} cells, ${columns.length} are expected`);
  return body.map((cells) => Object.fromEntries(columns.map((column, place) => [column, cells[place].trim()])));
}
