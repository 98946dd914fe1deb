// A row that is a file: dropped, chosen, or recorded if it is a sound.

import { node } from './nodes.js';
import { Recorder, canRecord } from './recorder.js';
import { FormError } from './refusals.js';
import { FILE, dataUrl } from './request.js';

// What a browser offers to choose, how it shows the chosen file, a name for it in code, and whether a model takes the
// file as it is.
const KINDS = {
  image: { accept: 'image/*', word: 'an image', shown: 'img', example: 'picture.png', isRaw: true },
  audio: { accept: 'audio/*,.wav,.flac,.ogg,.mp3', word: 'a sound', shown: 'audio', example: 'sound.wav', isRaw: true },
  file: { accept: '', word: 'a file', shown: 'output', example: 'file.bin', isRaw: false },
};

export class FileForm {
  // `field` is the row's name for its file.
  constructor(kind, field) {
    this.kind = KINDS[kind];
    this.name = field;
    this.file = { name: this.kind.example };
    this.input = node('input', { type: 'file', accept: this.kind.accept });
    this.preview = node('div', { className: 'preview', role: 'status' });
    this.area = node('div', { className: 'drop' }, node('label', {}, `Drop ${this.kind.word} here, or choose one `, this.input), ...this.recording(kind), this.preview);
    this.elements = [this.area];
    this.listen();
  }

  get isNamed() { return true; }

  get rows() { return [{ [this.name]: FILE }]; }

  get isRaw() { return this.kind.isRaw; }

  get picture() { return this.preview.querySelector('img'); }

  // Why the form can't be sent, null if it can.
  get missing() {
    return this.file instanceof Blob ? null : new FormError(`there is no file: the model reads ${this.kind.word}`, 'drop or choose one', this.input);
  }

  control() { return this.input; }

  recording(kind) {
    if (kind !== 'audio' || !canRecord()) return [];
    this.recorder = new Recorder((file) => this.take(file, true), (error) => this.fail(error));
    return [this.recorder.button];
  }

  close() { this.recorder?.close(); }

  listen() {
    const over = (event) => { event.preventDefault(); this.area.classList.add('over'); };
    this.input.addEventListener('change', () => this.take(this.input.files[0]));
    this.area.addEventListener('dragover', over);
    this.area.addEventListener('dragleave', () => this.area.classList.remove('over'));
    this.area.addEventListener('drop', (event) => {
      event.preventDefault();
      this.area.classList.remove('over');
      this.take(event.dataTransfer.files[0]);
    });
  }

  fail(error) {
    this.preview.replaceChildren(node('p', { className: 'refusal' }, `The browser gives no sound: ${error.message}. Allow the microphone, or drop a file.`));
  }

  async take(file, isRecorded = false) {
    if (!file) return;
    this.file = file;
    const source = await dataUrl(file);
    const children = [shownFile(this.kind, file.name, source)];
    if (isRecorded) children.push(node('a', { href: source, download: file.name }, `save ${file.name}`));
    this.preview.replaceChildren(...children);
    this.area.dispatchEvent(new Event('input', { bubbles: true }));
  }
}

function shownFile({ shown, word }, name, source) {
  if (shown === 'output') return node('output', {}, name);
  const label = `${word} that was chosen, ${name}`;
  return shown === 'img' ? node('img', { src: source, alt: label }) : node('audio', { src: source, title: label, controls: true });
}
