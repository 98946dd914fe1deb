// Dialogs: an operator signs in, and sees the plan of a release step before it is taken.

import { build, element } from './cells.js';
import { isOperator, operator, send, signIn, signOut } from './service.js';

const dialog = document.getElementById('dialog');
let shown = 0; // counts what the dialog has shown: an answer that comes late must not take the place of something else

function open(title, ...content) {
  const number = shown += 1;
  const close = build('button', { type: 'button', className: 'quiet', textContent: 'Cancel' });
  close.addEventListener('click', () => dialog.close());
  const problem = build('p', { className: 'bad' });
  problem.setAttribute('role', 'alert');
  dialog.replaceChildren(build('h2', { id: 'dialog-title', textContent: title }), ...content, problem, build('p', { className: 'buttons' }, close));
  if (!dialog.open) dialog.showModal();
  return { problem, buttons: dialog.querySelector('.buttons'), close, isShown: () => dialog.open && number === shown };
}

// Runs `act` on a click; shows the error that it throws.
function button(text, problem, act) {
  const node = build('button', { type: 'button', textContent: text });
  node.addEventListener('click', async () => {
    node.disabled = true;
    problem.textContent = '';
    try { await act(); } catch (error) { problem.textContent = error.message; }
    node.disabled = false;
  });
  return node;
}

export function startOperator(control, changed) {
  const show = () => {
    control.textContent = isOperator() ? `Operator: ${operator.client}` : 'Operate…';
    changed();
  };
  control.addEventListener('click', () => (isOperator() ? leave(show) : enter(show)));
}

function enter(show) {
  const input = build('input', { type: 'password', autocomplete: 'off', id: 'operator-key' });
  const label = build('label', { htmlFor: 'operator-key', textContent: 'Key with the scope operate' });
  const note = element('p', 'This page forgets the key when it is closed. To make one: ', 'soft');
  note.append(element('code', 'onnxserve keys add NAME --scope operate'));
  const { problem, buttons } = open('Operate', note, label, input);
  const go = button('Sign in', problem, async () => { await signIn(input.value); dialog.close(); show(); });
  input.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); go.click(); } });
  buttons.prepend(go);
  input.focus();
}

function leave(show) {
  const { problem, buttons } = open('Operator', element('p', `Steps are recorded as made by ${operator.client}.`));
  buttons.prepend(button('Forget the key', problem, () => { signOut(); dialog.close(); show(); }));
}

// Asks for the share of a canary, then shows its plan.
export function planCanary(model, version, done) {
  const share = build('input', { type: 'number', min: '0.1', max: '100', step: '0.1', value: '5', id: 'canary-percent' });
  const auto = build('input', { type: 'checkbox', id: 'canary-auto' });
  auto.addEventListener('change', () => { share.disabled = auto.checked; });
  const fields = build('div', { className: 'stack' },
    build('label', { htmlFor: 'canary-percent', textContent: 'Share of the requests that name no version, percent' }), share,
    build('label', { className: 'inline' }, auto, ' Automatic: rise step by step, and take it back if it does harm'));
  const { problem, buttons, isShown } = open(`Canary ${model} ${version}`, fields);
  buttons.prepend(button('Show the plan', problem, async () => {
    const step = { action: 'canary', model, version, auto: auto.checked, ...(auto.checked ? {} : { percent: Number(share.value) }) };
    await showPlan(step, `Canary ${model} ${version}`, done, isShown);
  }));
  share.focus();
}

export async function planStep(step, title, done) {
  const waiting = element('p', 'asking for the plan', 'soft'), { problem, isShown } = open(title, waiting);
  try { await showPlan(step, title, done, isShown); } catch (error) { waiting.textContent = ''; problem.textContent = error.message; }
}

async function showPlan(step, title, done, isAwaited) {
  const { changes, on_failure: failure } = await send('plan', step);
  if (!isAwaited()) return;
  const lines = changes.length ? changes : ['nothing would change'];
  const { problem, buttons, close, isShown } = open(title,
    element('h3', 'What changes'), build('ul', { className: 'plan' }, ...lines.map((line) => element('li', line))),
    element('h3', 'If something fails'), build('ul', {}, ...failure.map((line) => element('li', line))));
  if (changes.length) buttons.prepend(button('Apply', problem, () => take(step, changes, title, done, isShown)));
  close.focus(); // a key that is still held down must not apply a plan that nobody has read
}

async function take(step, changes, title, done, isAwaited) {
  const { changes: after, warning } = await send('apply', { step, changes });
  done();
  if (!isAwaited()) return; // the history shows it
  const { problem, close } = open(title, element('p', 'Done.', 'good'), build('ul', { className: 'plan' }, ...after.map((line) => element('li', line))));
  problem.textContent = warning;
  close.textContent = 'Close';
  close.focus();
}
