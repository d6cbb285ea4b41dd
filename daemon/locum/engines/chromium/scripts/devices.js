// The device API, answered with our camera and our microphone: as a browser's own answers, where
// a page asks for what it can't have too. What isn't about them goes to the browser.

function createDevices({ camera, voice, connections }) {
  const [largestWidth, largestHeight] = SETTINGS.sizes[0];
  const ids = {
    video: idOf(`${SETTINGS.cameraLabel} ${location.origin}`),
    audio: idOf(`${SETTINGS.microphoneLabel} ${location.origin}`),
    group: idOf(`locum ${location.origin}`),
  };
  const ours = new WeakMap(); // Track → { kind, constraints, height }.
  const given = { video: new Set(), audio: new Set() };
  const everAsked = { video: false, audio: false };
  const everSent = { video: false, audio: false };
  const native = {};

  // 64 hexadecimal digits, the same for the same text, as browsers' device ids are.
  function idOf(text) {
    let id = "";
    for (let part = 0; part < 8; part += 1) {
      let hash = 2166136261 ^ part;
      for (let i = 0; i < text.length; i += 1) {
        hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
      }
      id += (hash >>> 0).toString(16).padStart(8, "0");
    }
    return id;
  }

  const LABELS = { video: SETTINGS.cameraLabel, audio: SETTINGS.microphoneLabel };
  const RANGES = {
    video: {
      width: [1, largestWidth],
      height: [1, largestHeight],
      frameRate: [0, SETTINGS.fps],
      aspectRatio: [1 / largestHeight, largestWidth],
    },
    audio: { channelCount: [1, 1], sampleRate: [48000, 48000], sampleSize: [16, 16], latency: [0, 1] },
  };
  const NAMES = {
    video: { deviceId: ids.video, groupId: ids.group, resizeMode: "none" },
    audio: { deviceId: ids.audio, groupId: ids.group },
  };

  // ── constraints ──────────────────────────────────────────────────────────────────────────

  const listed = (value) => (Array.isArray(value) ? value : [value]);

  // What of `value` must be so; undefined where nothing must.
  const required = (value) =>
    value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};

  // The name of the first constraint of a set that can't be met, or null.
  function unmet(kind, set) {
    for (const [name, value] of Object.entries(set)) {
      const { exact, min, max } = required(value);
      const range = RANGES[kind][name];
      if (range) {
        if (exact !== undefined && (exact < range[0] || exact > range[1])) return name;
        if ((min !== undefined && min > range[1]) || (max !== undefined && max < range[0])) return name;
      } else if (name in NAMES[kind] && exact !== undefined) {
        const wanted = listed(exact);
        if (!wanted.includes(NAMES[kind][name]) && !wanted.includes("default")) return name;
      } else if (name === "facingMode" && exact !== undefined) {
        return name; // It faces nobody.
      }
    }
    return null;
  }

  function check(kind, constraints) {
    const name = unmet(kind, constraints);
    if (name !== null) throw new OverconstrainedError(name, "");
  }

  // The advanced sets that can be met count, in their order; the others are passed over.
  const withAdvanced = (kind, { advanced = [], ...basic }) =>
    [...advanced].reverse().reduce(
      (all, set) => {
        const exact = Object.fromEntries(
          Object.entries(set).map(([k, v]) => [k, typeof v === "object" ? v : { exact: v }]),
        );
        return unmet(kind, exact) === null ? { ...all, ...exact } : all;
      },
      basic,
    );

  // The number that a constraint asks for; undefined where it leaves it to us.
  function number(value) {
    if (typeof value === "number") return value;
    const { exact, ideal, min, max } = required(value);
    if (exact !== undefined) return exact;
    if (ideal === undefined) return max;
    return Math.min(max ?? Infinity, Math.max(min ?? 0, ideal));
  }

  // The smallest of our sizes that isn't smaller than what is asked for.
  function sizeFor(constraints) {
    const width = number(constraints.width) ?? 0;
    const height = number(constraints.height) ?? 0;
    if (width === 0 && height === 0) return SETTINGS.sizes[0];
    const enough = SETTINGS.sizes.filter((size) => size[0] >= width && size[1] >= height);
    return enough.length > 0 ? enough[enough.length - 1] : SETTINGS.sizes[0];
  }

  function settle(track, kind, constraints) {
    const size = kind === "video" ? sizeFor(withAdvanced(kind, constraints)) : null;
    ours.set(track, { kind, constraints: structuredClone(constraints), size });
  }

  // ── what became of the tracks ────────────────────────────────────────────────────────────

  const live = (kind) => [...given[kind]].filter((track) => track.readyState === "live");

  // The tracks that decide whether others get anything: those that are sent, once any has been.
  // A page may keep a copy switched on for itself (to see whether one talks while muted).
  function deciding(kind) {
    const open = connections.now();
    if (open.length === 0) everSent[kind] = false;
    const sent = new Set(open.flatMap((c) => c.getSenders().map((sender) => sender.track)));
    const ofOurs = live(kind).filter((track) => sent.has(track));
    if (ofOurs.length > 0) everSent[kind] = true;
    return everSent[kind] ? ofOurs : live(kind);
  }

  const isOn = (track) => native.enabled.get.call(track);

  function looked() {
    voice.setOpen(deciding("audio").some(isOn));
    camera.watch(live("video").some(isOn));
    const heights = live("video").map((track) => ours.get(track).size[1]);
    if (heights.length > 0) camera.ask(Math.max(...heights));
    for (const kind of ["audio", "video"]) given[kind] = new Set(live(kind));
  }

  function hand(track, kind, constraints) {
    settle(track, kind, constraints);
    given[kind].add(track);
    everAsked[kind] = true;
    return track;
  }

  function state(kind) {
    if (live(kind).length === 0) return everAsked[kind] ? "stopped" : "unasked";
    return deciding(kind).some(isOn) ? "live" : "muted";
  }

  // ── getUserMedia and its kin ─────────────────────────────────────────────────────────────

  const asDictionary = (value) => (value === true ? {} : value);
  const isCapture = (value) => Boolean(value?.mandatory?.chromeMediaSource);

  async function media(constraints) {
    const wanted = ["audio", "video"].filter((kind) => constraints[kind]);
    const asked = Object.fromEntries(wanted.map((k) => [k, asDictionary(constraints[k])]));
    wanted.forEach((kind) => check(kind, asked[kind]));
    if (wanted.includes("video")) camera.ask(sizeFor(asked.video)[1]);
    // Of one stream, so that sound and picture are played together where they arrive.
    const stream = new MediaStream();
    for (const kind of wanted) {
      const track = await (kind === "video" ? camera : voice).track();
      stream.addTrack(hand(track, kind, asked[kind]));
    }
    looked();
    return stream;
  }

  function replaceGetUserMedia(prototype) {
    replaceMethod(prototype, "getUserMedia", (before) => ({
      async getUserMedia(constraints) {
        const { audio, video } = constraints ?? {};
        if ((!audio && !video) || isCapture(audio) || isCapture(video)) {
          return before.apply(this, arguments);
        }
        try {
          return await media(constraints);
        } catch (error) {
          if (error instanceof OverconstrainedError) throw error;
          // As a browser answers for a camera that is broken. Its own device would be a test
          // pattern that beeps: no meeting should get that.
          trouble("getUserMedia", error);
          throw new DOMException("Could not start the source", "NotReadableError");
        }
      },
    }).getUserMedia);
  }

  function replaceLegacy(name) {
    replaceMethod(Navigator.prototype, name, (before) => ({
      legacy(constraints, done, failed) {
        if (isCapture(constraints?.audio) || isCapture(constraints?.video)) {
          return before.apply(this, arguments);
        }
        navigator.mediaDevices.getUserMedia(constraints).then(done, failed);
        return undefined;
      },
    }).legacy);
  }

  function deviceInfo(kind) {
    const fields = { deviceId: ids[kind], kind: `${kind}input`, label: LABELS[kind], groupId: ids.group };
    const info = Object.create(InputDeviceInfo.prototype);
    for (const [name, value] of Object.entries(fields)) Object.defineProperty(info, name, { value });
    Object.defineProperty(info, "toJSON", { value: () => ({ ...fields }) });
    Object.defineProperty(info, "getCapabilities", { value: () => capabilities(kind) });
    return info;
  }

  const devices = [deviceInfo("audio"), deviceInfo("video")];

  // Loudspeakers are the browser's own.
  const replaceEnumeration = (prototype) =>
    replaceMethod(prototype, "enumerateDevices", (before) => ({
      async enumerateDevices() {
        const all = await before.apply(this, arguments);
        return [...devices, ...all.filter(({ kind }) => kind === "audiooutput")];
      },
    }).enumerateDevices);

  const replaceQuery = () =>
    replaceMethod(globalThis.Permissions?.prototype, "query", (before) => ({
      async query(descriptor) {
        const status = await before.apply(this, arguments);
        if (["camera", "microphone"].includes(descriptor?.name)) {
          Object.defineProperty(status, "state", { value: "granted" });
        }
        return status;
      },
    }).query);

  // ── the tracks' own methods ──────────────────────────────────────────────────────────────

  const span = ([min, max]) => ({ min, max });

  function capabilities(kind) {
    const ranges = Object.entries(RANGES[kind]).map(([name, range]) => [name, span(range)]);
    const shared = { ...Object.fromEntries(ranges), deviceId: ids[kind], groupId: ids.group };
    if (kind === "video") return { ...shared, facingMode: [], resizeMode: ["none"] };
    return {
      ...shared,
      autoGainControl: [true, false],
      echoCancellation: [true, false],
      noiseSuppression: [true, false],
    };
  }

  function settingsOf({ kind, constraints, size }) {
    const shared = { deviceId: ids[kind], groupId: ids.group };
    if (kind === "video") {
      const [width, height] = size;
      return { ...shared, width, height, aspectRatio: width / height, frameRate: SETTINGS.fps, resizeMode: "none" };
    }
    const said = (name) => {
      const value = constraints[name];
      return typeof value === "boolean" ? value : (required(value).exact ?? required(value).ideal ?? true);
    };
    return {
      ...shared,
      autoGainControl: said("autoGainControl"),
      channelCount: 1,
      echoCancellation: said("echoCancellation"),
      latency: 0.01,
      noiseSuppression: said("noiseSuppression"),
      sampleRate: 48000,
      sampleSize: 16,
    };
  }

  function replaceTrackMethods(prototype) {
    const forOurs = (name, answer) =>
      replaceMethod(prototype, name, (before) => ({
        method() {
          const known = ours.get(this);
          return known ? answer(known, this) : before.apply(this, arguments);
        },
      }).method);
    forOurs("getCapabilities", ({ kind }) => capabilities(kind));
    forOurs("getConstraints", ({ constraints }) => structuredClone(constraints));
    forOurs("getSettings", settingsOf);
    replaceMethod(prototype, "applyConstraints", (before) => ({
      async applyConstraints(constraints = {}) {
        const known = ours.get(this);
        if (!known) return before.apply(this, arguments);
        check(known.kind, constraints);
        settle(this, known.kind, constraints);
        looked();
        return undefined;
      },
    }).applyConstraints);
    replaceMethod(prototype, "clone", (before) => ({
      clone() {
        const copy = before.apply(this, arguments);
        const known = ours.get(this);
        if (known) guarded("clone", () => hand(copy, known.kind, known.constraints));
        return copy;
      },
    }).clone);
    replaceMethod(prototype, "stop", (before) => ({
      stop() {
        before.apply(this, arguments);
        if (ours.has(this)) guarded("stop", looked);
      },
    }).stop);
    replaceAccessor(prototype, "label", ({ get }) => ({
      get() {
        const known = ours.get(this);
        return known ? LABELS[known.kind] : get.call(this);
      },
    }));
    native.enabled = Object.getOwnPropertyDescriptor(prototype, "enabled");
    replaceAccessor(prototype, "enabled", ({ set }) => ({
      set(value) {
        set.call(this, value);
        if (ours.has(this)) guarded("enabled", looked);
      },
    }));
  }

  // The browser's copies of a stream's tracks are made without their `clone`.
  const replaceStreamClone = () =>
    replaceMethod(MediaStream.prototype, "clone", (before) => ({
      clone() {
        const copy = before.apply(this, arguments);
        guarded("clone of a stream", () => {
          for (const tracks of ["getAudioTracks", "getVideoTracks"]) {
            const copies = copy[tracks]();
            this[tracks]().forEach((track, i) => {
              const known = ours.get(track);
              if (known && copies[i]) hand(copies[i], known.kind, known.constraints);
            });
          }
        });
        return copy;
      },
    }).clone);

  replaceTrackMethods(MediaStreamTrack.prototype);
  replaceStreamClone();
  replaceGetUserMedia(MediaDevices.prototype);
  replaceEnumeration(MediaDevices.prototype);
  for (const name of ["getUserMedia", "webkitGetUserMedia"]) replaceLegacy(name);
  replaceQuery();
  return { state, looked };
}
