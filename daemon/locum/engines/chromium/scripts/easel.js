// Draws faces for whoever asks from Python: for picture sheets, tests and measuring. No meeting's
// page ever gets it. It comes behind face*.js, in the same function, which answers `easel`.

const easelFaces = new Map();

function easelBytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function easelText(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(text);
}

// Two sums in 32 bits each: enough to see whether two pictures are the same.
function easelDigest(bytes) {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let [a, b] = [2166136261, 40389];
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ words[i], 16777619);
    b = (Math.imul(b, 31) + words[i]) | 0;
  }
  return [a, b].map((sum) => (sum >>> 0).toString(16).padStart(8, "0")).join("");
}

// When, within two minutes, a face does what it does by itself: `calm` is when it does least.
// The others are when that is at its height: blinks, glances, turns of the head.
function easelMoments(picture) {
  const seed = faceSeed(picture);
  const motion = faceMotion(seed);
  const most = {};
  const offer = (name, value, time) => {
    if (!(name in most) || value > most[name].value) most[name] = { value, time };
  };
  const silent = { jaw: 0 };
  for (let time = 0; time < 120000; time += 20) {
    const now = motion(time, silent, {});
    const { yaw, pitch, roll } = now.head;
    const still = Math.abs(yaw) + Math.abs(pitch) + Math.abs(roll);
    const gaze = Math.hypot(now.gazeX, now.gazeY);
    const open = now.lids < 0.02;
    offer("calm", -still - gaze - 5 * now.lids, time);
    offer("blink", now.lids - still - gaze, time);
    offer("half_blink", -Math.abs(now.lids - 0.5) - still - gaze, time);
    if (open) {
      offer("left", -now.gazeX, time);
      offer("right", now.gazeX, time);
      offer("up", -now.gazeY, time);
      offer("turned_left", -yaw, time);
      offer("turned_right", yaw, time);
      offer("tilted", roll, time);
    }
    const lean = faceMascotLean(seed, time, time, 0);
    offer("leaning_left", -lean, time);
    offer("leaning_right", lean, time);
  }
  return Object.fromEntries(Object.entries(most).map(([name, { time }]) => [name, time]));
}

const easel = {
  moments: easelMoments,
  motion(picture, shots) {
    const motion = faceMotion(faceSeed(picture));
    return shots.map(([time, mouth, mood]) => {
      const { head, lids, gazeX, gazeY, nod } = motion(time, mouth, mood);
      return { ...head, lids, gazeX, gazeY, nod };
    });
  },
  async face(name, { kind, document, textures, width, height }) {
    const pictures = {};
    for (const [texture, png] of Object.entries(textures)) {
      pictures[texture] = await createImageBitmap(
        new Blob([easelBytes(png)], { type: "image/png" }),
        { premultiplyAlpha: "none", colorSpaceConversion: "none" },
      );
    }
    const rig = JSON.parse(document);
    const make = () => createFace({ kind, rig, textures: pictures, width, height });
    easelFaces.set(name, { make, face: make() });
  },
  frames(name, shots) {
    const { face } = easelFaces.get(name);
    return shots.map(([time, mouth, mood]) => easelText(face.draw(time, mouth, mood)));
  },
  last(name, shots) {
    const { face } = easelFaces.get(name);
    let frame = null;
    for (const [time, mouth, mood] of shots) frame = face.draw(time, mouth, mood);
    return easelText(frame);
  },
  // One frame with a piece of plain colour laid over it, as a neural renderer's would be.
  patched(name, [time, mouth, mood], box, level) {
    const { face } = easelFaces.get(name);
    const picture = { width: 64, height: 64, data: new Uint8ClampedArray(64 * 64 * 4).fill(level) };
    for (let i = 3; i < picture.data.length; i += 4) picture.data[i] = 255;
    return easelText(face.draw(time, mouth, mood, { picture, box }));
  },
  digests(name, shots, anew) {
    const { make, face } = easelFaces.get(name);
    return shots.map(([time, mouth, mood]) =>
      easelDigest((anew ? make() : face).draw(time, mouth, mood)),
    );
  },
  timings(name, shots) {
    const { face } = easelFaces.get(name);
    return shots.map(([time, mouth, mood]) => {
      const began = performance.now();
      face.draw(time, mouth, mood);
      return performance.now() - began;
    });
  },
};
