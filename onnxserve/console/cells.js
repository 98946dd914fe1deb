// Elements, and lists of elements that are kept while their content changes.

export function element(name, text = '', className = '') {
  const node = document.createElement(name);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

// An element with properties and children; a child may be text.
export function build(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter((child) => child !== null && child !== ''));
  return node;
}

// The value of a name that a table has itself: a model, column or label may be called `constructor`, which every table
// inherits.
export function own(table, name) {
  return table && Object.hasOwn(table, name) ? table[name] : undefined;
}

export function percent(share, digits = 2) {
  if (typeof share !== 'number') return '–';
  return `${(100 * share).toFixed(digits)}\u00a0%`;
}

export function milliseconds(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  const value = 1000 * seconds;
  return `${value.toFixed(value < 10 ? 1 : 0)}\u00a0ms`;
}

// The time of day of a moment in seconds since 1970.
export function clock(seconds, exact = true) {
  const parts = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(exact ? { second: '2-digit' } : {}) };
  return new Date(1000 * seconds).toLocaleTimeString([], parts);
}

export function count(value) {
  return Math.round(value).toLocaleString('en').replaceAll(',', '\u202f');
}

export function rate(value) {
  return value >= 100 ? count(value) : value.toFixed(1);
}

// Makes the children of `parent` those of the items, in order. A child is made once by `create(item)` and then updated by
// `update(child, item)`, so that a focused element is not replaced while the page refreshes.
export function keep(parent, items, key, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const child = known.get(key(item)) || create(item);
    child.dataset.key = key(item);
    update(child, item);
    return child;
  });
  if (children.length !== parent.children.length || children.some((child, at) => parent.children[at] !== child)) {
    parent.replaceChildren(...children);
  }
}

// Sets a text only if it differs, so that a selection or a screen reader is not disturbed.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A list of names with their values: pairs of a name and a text or an element, and a class of the value.
export function terms(className, pairs) {
  return build('ul', { className }, ...pairs.map(([name, value = '', kind = '']) => {
    const shown = element('b', '', kind);
    shown.append(value);
    return build('li', {}, element('span', name, 'term'), ' ', shown);
  }));
}
