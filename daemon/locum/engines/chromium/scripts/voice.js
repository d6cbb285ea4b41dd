// The microphone's side: pieces of sound, put after one another on one audio clock.
//
// Positions are whole samples since an utterance's beginning, so that nothing clicks where two
// pieces meet. A piece that comes too late moves what follows: a gap is heard, no word is lost.

const RATE = 48000;
const SHORTEST_LEAD = 0.03 * RATE; // Between a first piece's arrival and its sound.
const LONGEST_LEAD = 0.3 * RATE;
const MARGIN = 0.012 * RATE; // The clock moves in steps of about that.
const HUSH_S = 0.008; // A cut would click.
const SILENCED_MS = 300; // How long a microphone may be off before the utterance is given up.
const RESUMED_MS = 2000;
const ROOM_LEVEL = 0.00035;
const DUCKED = 0.25; // -12 dB: heard still, and plainly giving way.
const DUCK_S = 0.004; // A time constant: 20 ms later it is there.

// `camera` is told where the mouth is.
function createVoice(camera) {
  let context = null;
  let destination = null;
  let utterance = null;
  let open = false;
  let lead = SHORTEST_LEAD;
  let late = 0;
  let hushMs = 0;
  let lastEnded = -1; // Utterances are numbered upwards.
  let level = 1;
  let openers = [];
  let offsets = [];

  const frameNow = () => context.currentTime * RATE;

  function start() {
    context = new AudioContext({
      sampleRate: RATE,
      latencyHint: "interactive",
      sinkId: { type: "none" }, // Nobody listens at this machine.
    });
    destination = context.createMediaStreamDestination();
    destination.channelCount = 1;
    const room = context.createBufferSource();
    room.buffer = roomTone();
    room.loop = true;
    room.connect(destination);
    room.start();
  }

  // A room is never digitally silent. At -75 dBFS nobody hears it; but the packets go on, and a
  // page doesn't take the microphone for a broken one.
  function roomTone() {
    const buffer = context.createBuffer(1, 3 * RATE, RATE);
    const samples = buffer.getChannelData(0);
    let seed = 12345;
    for (let i = 0; i < samples.length; i += 1) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      samples[i] = (seed / 2147483648 - 1) * ROOM_LEVEL;
    }
    return buffer;
  }

  // What the audio clock's zero is on the page's. The audio clock moves in steps, and is nearest
  // to the truth right after one: the smallest difference of late is taken.
  function zeroOfAudio() {
    offsets.push(now() - context.currentTime * 1000);
    if (offsets.length > 20) offsets.shift();
    return Math.min(...offsets);
  }

  const heardSoFar = (all) => {
    const { base, sent, silent, closedAt } = utterance;
    const reached = all ? Infinity : frameNow();
    const until = closedAt === null ? reached : closedAt;
    return Math.round(Math.max(0, Math.min(until - base, sent) - silent));
  };

  function begin(id) {
    const gain = context.createGain();
    gain.gain.value = level;
    gain.connect(destination);
    utterance = {
      id,
      base: Math.ceil(frameNow() + lead),
      sent: 0,
      silent: 0, // Samples that fell into times when the microphone was off.
      closedAt: open ? null : frameNow(),
      gain,
      sources: new Set(),
      complete: false,
    };
  }

  function play(samples) {
    const { base, sent, gain, sources } = utterance;
    const id = utterance.id;
    const buffer = context.createBuffer(1, samples.length, RATE);
    const floats = buffer.getChannelData(0);
    for (let i = 0; i < samples.length; i += 1) floats[i] = samples[i] / 32768;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(gain);
    source.onended = () => {
      source.disconnect();
      sources.delete(source);
      if (utterance?.id === id && utterance.complete && sources.size === 0) end("said");
    };
    sources.add(source);
    source.start((base + sent) / RATE);
    utterance.sent += samples.length;
  }

  function end(why) {
    const { id, gain, sources } = utterance;
    const frames = heardSoFar(why === "said");
    lastEnded = id;
    const at = context.currentTime;
    if (sources.size > 0) {
      const now = gain.gain.value;
      gain.gain.cancelScheduledValues(at);
      gain.gain.setValueAtTime(now, at);
      gain.gain.linearRampToValueAtTime(0, at + HUSH_S);
      for (const source of sources) {
        source.onended = null;
        source.stop(at + HUSH_S);
      }
      later(() => gain.disconnect(), 100);
    } else {
      gain.disconnect();
    }
    utterance = null;
    level = 1; // Whoever comes to speak next needn't know what became of the one before.
    camera.finish(now());
    tell({ kind: "said", id, frames, why });
  }

  return {
    async track() {
      if (context === null) start();
      if (context.state !== "running") await within(RESUMED_MS, "sound", context.resume());
      return destination.stream.getAudioTracks()[0].clone();
    },
    // Whether any track that the page holds is on.
    setOpen(yes) {
      if (yes === open) return;
      open = yes;
      if (open) openers.splice(0).forEach((resolve) => resolve(true));
      if (utterance === null) return;
      if (open && utterance.closedAt !== null) {
        utterance.silent += frameNow() - Math.max(utterance.closedAt, utterance.base);
        utterance.closedAt = null;
      } else if (!open) {
        const { id } = utterance;
        utterance.closedAt = frameNow();
        later(() => {
          if (!open && utterance?.id === id) end("muted");
        }, SILENCED_MS);
      }
    },
    // Whether there is a microphone to speak into, within `ms`.
    opened(ms) {
      if (open) return true;
      return new Promise((resolve) => {
        openers.push(resolve);
        later(() => resolve(open), ms);
      });
    },
    // Answers how many samples lie ahead of what sounds now; -1 where `id` has been ended.
    push(id, base64, keyframes, complete) {
      if (context === null || id <= lastEnded) return -1;
      const first = utterance?.id !== id;
      if (first && !open) return -1;
      if (first) {
        if (utterance !== null) end("hushed");
        begin(id);
      }
      const bytes = bytesOf(base64);
      const samples = new Int16Array(bytes.buffer);
      if (!first && samples.length > 0) {
        const due = utterance.base + utterance.sent;
        if (due < frameNow() + MARGIN) {
          late += 1;
          lead = Math.min(lead * 1.5, LONGEST_LEAD);
          utterance.base += Math.ceil(frameNow() + lead - due);
        }
      }
      utterance.complete = complete;
      if (samples.length > 0) play(samples);
      const zero = zeroOfAudio();
      camera.say(id, zero + (utterance.base / RATE) * 1000, keyframes);
      const ahead = utterance.base + utterance.sent - frameNow();
      if (complete && utterance.sources.size === 0) end("said");
      return Math.round(ahead);
    },
    // What is being said goes on more quietly, or as before.
    duck(down) {
      level = down ? DUCKED : 1;
      utterance?.gain.gain.setTargetAtTime(level, context.currentTime, DUCK_S);
    },
    // Ends what sounds, and forbids what comes late of utterances up to `id`.
    hush(id) {
      lastEnded = Math.max(lastEnded, id);
      const started = clock.now();
      if (utterance !== null) end("hushed");
      hushMs = clock.now() - started + HUSH_S * 1000;
    },
    counts: () => ({ late, hushMs, leadMs: (lead * 1000) / RATE, context: context?.state ?? "" }),
    close() {
      if (utterance !== null) end("hushed");
      context?.close();
    },
  };
}
