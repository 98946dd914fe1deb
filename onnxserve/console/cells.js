// Elements and the cells of tables.

export function element(name, text = '') {
  const node = document.createElement(name);
  node.textContent = text;
  return node;
}

export function cell(text, kind = '') {
  return Object.assign(element('td', text), { className: kind });
}

export function number(value, digits) {
  return cell(value === null ? '–' : value.toFixed(digits), 'n');
}

export function percent(share) {
  return `${(100 * share).toFixed(2)}\u00a0%`;
}
