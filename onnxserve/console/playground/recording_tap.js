// Runs in the browser's audio thread, and passes on each block of the first channel.

class RecordingTap extends AudioWorkletProcessor {
  process([[channel]]) {
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
}

registerProcessor('recording-tap', RecordingTap);
