// The shown request as code: a tab for each language, and a button that copies it.
// Keys and roles: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/

import { node } from './nodes.js';
import { curl, python, typescript } from './snippets.js';

const LANGUAGES = { curl: ['curl', curl], python: ['Python', python], typescript: ['TypeScript', typescript] };
const STEPS = { ArrowRight: 1, ArrowLeft: -1 };

export class CodeTabs {
  constructor() {
    const names = Object.keys(LANGUAGES);
    this.tabs = names.map((name) => tab(name, () => this.choose(name)));
    this.panels = names.map((name) => node('pre', { id: `play-${name}`, role: 'tabpanel', tabIndex: 0, 'aria-labelledby': `play-tab-${name}` }));
    this.list = node('div', { className: 'tabs', role: 'tablist', ariaLabel: 'language' }, ...this.tabs);
    this.copied = node('span', { className: 'soft', role: 'status' });
    const copy = node('button', { type: 'button', className: 'quiet', id: 'play-copy' }, 'Copy');
    copy.addEventListener('click', () => this.copy());
    this.list.addEventListener('keydown', (event) => this.step(event));
    this.elements = [node('div', { className: 'code-head' }, this.list, copy, this.copied), ...this.panels];
    this.choose(names[0]);
  }

  choose(name) {
    this.tabs.forEach((each, place) => {
      const isChosen = each.id === `play-tab-${name}`;
      each.ariaSelected = String(isChosen);
      each.tabIndex = isChosen ? 0 : -1;
      this.panels[place].hidden = !isChosen;
    });
    this.copied.textContent = '';
  }

  step(event) {
    const step = STEPS[event.key], place = this.tabs.indexOf(document.activeElement);
    if (!step || place < 0) return;
    const next = this.tabs[(place + step + this.tabs.length) % this.tabs.length];
    event.preventDefault();
    next.click();
    next.focus();
  }

  // Shows a request in every language; `answer` is the schema of a prediction.
  show(request, answer) {
    Object.values(LANGUAGES).forEach(([, write], place) => { this.panels[place].textContent = write(request, answer); });
    this.copied.textContent = '';
  }

  // Says why there is no request.
  clear(reason) {
    for (const panel of this.panels) panel.textContent = reason;
  }

  async copy() {
    const shown = this.panels.find((panel) => !panel.hidden);
    try {
      await navigator.clipboard.writeText(shown.textContent);
      this.copied.textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(shown); // no permission: the reader copies what is selected
      this.copied.textContent = 'selected: copy it by the keyboard';
    }
  }
}

function tab(name, choose) {
  const element = node('button', { type: 'button', role: 'tab', className: 'quiet', id: `play-tab-${name}`, 'aria-controls': `play-${name}` }, LANGUAGES[name][0]);
  element.addEventListener('click', choose);
  return element;
}
