// A microphone's sound as a WAV file: 16 bits, one channel, at the rate of the audio device.

import { node } from './nodes.js';

const TAP = new URL('recording_tap.js', import.meta.url);
const FILE_NAME = 'recording.wav', HEADER_BYTES = 44, FULL_SCALE = 32767;

export function canRecord() {
  return Boolean(navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode);
}

// A button that begins and ends a recording. `done` gets the file, `fail` the browser's error.
export class Recorder {
  constructor(done, fail) {
    this.done = done;
    this.fail = fail;
    this.button = node('button', { type: 'button', className: 'quiet' }, 'Record');
    this.button.addEventListener('click', () => this.toggle().catch(fail));
  }

  async toggle() {
    this.button.disabled = true;
    try {
      if (this.context) await this.end();
      else await this.begin();
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      this.button.disabled = false;
    }
  }

  async begin() {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(TAP);
    const tap = new AudioWorkletNode(this.context, 'recording-tap');
    this.blocks = [];
    tap.port.addEventListener('message', ({ data }) => this.add(data));
    tap.port.start();
    this.context.createMediaStreamSource(this.stream).connect(tap).connect(this.context.destination); // silence, which pulls
    this.button.textContent = 'Stop';
  }

  add(block) {
    if (!this.context) return; // it has ended
    this.blocks.push(block);
    this.button.textContent = `Stop, ${(this.blocks.length * block.length / this.context.sampleRate).toFixed(1)} s`;
  }

  async end() {
    const rate = this.context.sampleRate;
    await this.close();
    this.done(new File([wav(this.blocks, rate)], FILE_NAME, { type: 'audio/wav' }));
  }

  // Lets the microphone go.
  async close() {
    const context = this.context;
    this.context = null;
    this.button.textContent = 'Record';
    this.stream?.getTracks().forEach((track) => track.stop());
    await context?.close();
  }
}

// Returns a WAV file of blocks of samples from -1 to 1 (http://soundfile.sapp.org/doc/WaveFormat/).
export function wav(blocks, rate) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0), bytes = 2 * count;
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + bytes));
  const text = (place, letters) => [...letters].forEach((letter, index) => view.setUint8(place + index, letter.charCodeAt(0)));
  text(0, 'RIFF');
  view.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); // bytes of the format
  view.setUint16(20, 1, true); // linear samples
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true); // bytes a second
  view.setUint16(32, 2, true); // bytes of a sample
  view.setUint16(34, 16, true); // bits of a sample
  text(36, 'data');
  view.setUint32(40, bytes, true);
  let place = HEADER_BYTES;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(place, Math.round(FULL_SCALE * Math.max(-1, Math.min(1, sample))), true);
      place += 2;
    }
  }
  return view.buffer;
}
