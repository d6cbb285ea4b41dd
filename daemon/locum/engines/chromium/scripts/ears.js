// What comes in: each received audio track as 16 kHz, in pieces of 20 ms.

const HEARD_RATE = 16000;
const PIECE = 320; // What a packet holds: whoever is interrupted can't wait for two.
const TRACKS_HEARD = 64;
const SOURCES_EVERY_MS = 200;
const TAPS = 73;

// A low-pass for what 16 kHz can hold: a windowed sinc (Blackman), 7.2 kHz at 48 kHz.
function lowPass(rate) {
  const cut = Math.min(0.45, 7200 / rate);
  const taps = new Float32Array(TAPS);
  const middle = (TAPS - 1) / 2;
  let sum = 0;
  for (let i = 0; i < TAPS; i += 1) {
    const x = i - middle;
    const sinc = x === 0 ? 2 * cut : Math.sin(2 * Math.PI * cut * x) / (Math.PI * x);
    const turn = (2 * Math.PI * i) / (TAPS - 1);
    taps[i] = sinc * (0.42 - 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn));
    sum += taps[i];
  }
  return taps.map((tap) => tap / sum);
}

// Turns blocks of any length at `rate` into samples at 16 kHz, without a seam between blocks.
// Rates that 16 kHz doesn't divide are read between two filtered samples.
function createDecimator(rate) {
  const taps = lowPass(rate);
  const step = rate / HEARD_RATE;
  let held = new Float32Array(TAPS);
  let position = 0; // Of the next output, in samples from the beginning of `held`.

  function filtered(block, at) {
    let sum = 0;
    for (let k = 0; k < TAPS; k += 1) sum += taps[k] * block[at + k];
    return sum;
  }

  return (samples, emit) => {
    const block = new Float32Array(held.length + samples.length);
    block.set(held);
    block.set(samples, held.length);
    const last = block.length - TAPS - 1;
    while (position <= last) {
      const at = Math.floor(position);
      const part = position - at;
      const value = filtered(block, at);
      emit(part === 0 ? value : value + part * (filtered(block, at + 1) - value));
      position += step;
    }
    const used = Math.min(Math.floor(position), block.length);
    held = block.slice(used);
    position -= used;
  };
}

function createEars() {
  let numbered = 0;
  let energy = 0; // Of all tracks together, as the standard's `totalAudioEnergy` counts it.
  const heard = new Set(); // Ids of tracks that are listened to.

  // The loudest of whom a track is mixed from, as the connection tells it.
  function sourcesOf(receiver) {
    const mixed = receiver.getContributingSources();
    const sources = mixed.length > 0 ? mixed : receiver.getSynchronizationSources();
    return sources
      .map(({ source, audioLevel }) => [source, audioLevel ?? 0])
      .sort((a, b) => b[1] - a[1])
      .slice(0, 16);
  }

  async function listen(number, track, receiver) {
    // As little in hand as the network allows: nobody listens to this for its beauty.
    receiver.jitterBufferTarget = 0;
    // Without an element that plays it, nothing of a remote track arrives.
    const element = new Audio();
    element.muted = true;
    element.srcObject = new MediaStream([track]);
    element.play().catch(() => undefined);
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    let piece = new Int16Array(PIECE);
    let filled = 0;
    let loudest = 0;
    let begun = now();
    let decimate = null;
    let rate = 0;
    let toldSources = 0;
    let floats = new Float32Array(4800);

    function emit(value) {
      const sample = Math.max(-32768, Math.min(32767, Math.round(value * 32767)));
      loudest = Math.max(loudest, Math.abs(sample));
      piece[filled] = sample;
      filled += 1;
      if (filled < PIECE) return;
      const age = Math.round(now() - begun);
      // Silence is told in a few bytes: most tracks are silent, most of the time.
      post(`~${number}~${age}~${loudest === 0 ? "" : base64Of(new Uint8Array(piece.buffer))}`);
      energy += (loudest / 32767) ** 2 * (PIECE / HEARD_RATE);
      filled = 0;
      loudest = 0;
      begun = now();
    }

    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const count = value.numberOfFrames;
        if (value.sampleRate !== rate) {
          rate = value.sampleRate;
          decimate = createDecimator(rate);
        }
        if (floats.length < count) floats = new Float32Array(count);
        const block = floats.subarray(0, count);
        value.copyTo(block, { planeIndex: 0, format: "f32-planar" });
        value.close();
        if (filled === 0) begun = now() - (count * 1000) / rate;
        decimate(block, emit);
        if (now() - toldSources > SOURCES_EVERY_MS) {
          toldSources = now();
          tell({ kind: "sources", track: number, sources: sourcesOf(receiver) });
        }
      }
    } finally {
      element.srcObject = null;
      tell({ kind: "untrack", track: number });
    }
  }

  return {
    energy: () => energy,
    onTrack({ track, receiver, streams, transceiver }) {
      if (track.kind !== "audio" || heard.has(track.id) || heard.size >= TRACKS_HEARD) return;
      const { id } = track;
      heard.add(id);
      const number = numbered;
      numbered += 1;
      tell({
        kind: "track",
        track: number,
        id,
        streams: streams.map((stream) => stream.id).slice(0, 8),
        mid: transceiver.mid ?? "",
      });
      // A copy: that the page mutes or stops its own is no reason to go deaf.
      const copy = track.clone();
      track.addEventListener("ended", () => copy.stop());
      listen(number, copy, receiver)
        .catch((error) => trouble("ears", error))
        .finally(() => heard.delete(id));
    },
  };
}
