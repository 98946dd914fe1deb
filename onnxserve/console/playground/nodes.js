// Builds elements of a page.

// Returns an element with properties (or attributes, where it has no such property) and children.
export function node(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Returns a label that holds its control.
export function labelled(text, control) {
  return node('label', {}, `${text} `, control);
}
