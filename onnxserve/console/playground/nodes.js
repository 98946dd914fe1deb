// Builds elements of a page.

// Returns an element with properties (or attributes, where it has no such property) and children.
export function node(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// Returns a label that holds its control.
export function labelled(text, control) {
  return node('label', {}, `${text} `, control);
}
