// Light or dark: as the system has it, or as the switch says, which this browser remembers.

const KEY = 'onnxserve-theme', CHOICES = ['system', 'light', 'dark'];

// Calls `changed` after the colours changed, since canvases don't follow by themselves.
export function startTheme(button, changed) {
  let choice = remembered();
  const show = () => {
    document.documentElement.dataset.theme = choice;
    button.textContent = `Theme: ${choice}`;
    changed();
  };
  button.addEventListener('click', () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    remember(choice);
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
  show();
}

// A browser may forbid storage: the choice then ends with the page.
function remembered() {
  try {
    const choice = localStorage.getItem(KEY);
    return CHOICES.includes(choice) ? choice : CHOICES[0];
  } catch { return CHOICES[0]; }
}

function remember(choice) {
  try { localStorage.setItem(KEY, choice); } catch { /* forbidden */ }
}
