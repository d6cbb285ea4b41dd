// A mascot or a logo: no face is guessed into it. It stands on its base, breathes, sways a little,
// stretches when it speaks, bows for a nod, and a glow behind it follows the voice.

const FACE_GLOW_STEPS = 256;

// A soft light behind the mascot that fades from its outline on, at half the resolution: nobody
// sees the difference.
function faceGlow(glow, layout) {
  if (!glow) return null;
  const [red, green, blue] = glow.colour;
  const luma = faceLuma(red, green, blue);
  const chroma = [faceChromaBlue(red, green, blue), faceChromaRed(red, green, blue)];
  const falls = Float64Array.from({ length: FACE_GLOW_STEPS + 1 }, (_, i) =>
    faceEase(1 - i / FACE_GLOW_STEPS),
  );
  const centreX = glow.centre[0] * layout.scale + layout.left;
  const centreY = glow.centre[1] * layout.scale + layout.top;
  const inner = 0.8 * glow.radius * layout.scale;

  return function paint(frame, strength, swelling) {
    const reach = inner * swelling;
    const half = frame.width >> 1;
    const left = Math.max(0, Math.floor((centreX - reach) / 2));
    const right = Math.min(half, Math.ceil((centreX + reach) / 2));
    const top = Math.max(0, Math.floor((centreY - reach) / 2));
    const bottom = Math.min(frame.height >> 1, Math.ceil((centreY + reach) / 2));
    const steps = FACE_GLOW_STEPS / (reach - inner);
    const lit = frame.luma;
    for (let y = top; y < bottom; y++) {
      const down = (2 * y + 1 - centreY) ** 2;
      for (let x = left; x < right; x++) {
        const away = Math.sqrt((2 * x + 1 - centreX) ** 2 + down);
        if (away >= reach) continue;
        const share = strength * falls[away < inner ? 0 : Math.floor((away - inner) * steps)];
        const at = y * half + x;
        frame.blue[at] += Math.round((chroma[0] - frame.blue[at]) * share);
        frame.red[at] += Math.round((chroma[1] - frame.red[at]) * share);
        const upper = 2 * y * frame.width + 2 * x;
        const lower = upper + frame.width;
        lit[upper] += Math.round((luma - lit[upper]) * share);
        lit[upper + 1] += Math.round((luma - lit[upper + 1]) * share);
        lit[lower] += Math.round((luma - lit[lower]) * share);
        lit[lower + 1] += Math.round((luma - lit[lower + 1]) * share);
      }
    }
  };
}

// Squash and stretch about its base, with its area kept; then the sway.
function faceSquash(rig, points, stretch, lean, slide) {
  const [px, py] = rig.pivot;
  const high = 1 + stretch;
  const wide = 1 / high;
  for (let i = 0; i < rig.head.length; i++) {
    const follows = rig.head[i];
    if (follows === 0) continue;
    const x = (points[2 * i] - px) * (1 + (wide - 1) * follows);
    const y = (points[2 * i + 1] - py) * (1 + (high - 1) * follows);
    const cos = Math.cos(lean * follows);
    const sin = Math.sin(lean * follows);
    points[2 * i] = px + x * cos - y * sin + slide * follows;
    points[2 * i + 1] = py + x * sin + y * cos;
  }
}

// The loudness that a mascot answers to: quick to rise, slow to fall, so that it dances with words
// and doesn't tremble with every sound.
function faceLevel() {
  let level = 0;
  let last = null;
  return function at(time, loud) {
    const passed = last === null || time < last ? Infinity : time - last;
    last = time;
    if (passed > FACE_FORGET_MS) level = loud;
    level = faceTowards(level, loud, passed / (loud > level ? 110 : 320));
    return level;
  };
}

// How far it leans: slowly by itself, quicker the louder it is.
function faceMascotLean(seed, slow, time, level) {
  return (
    0.022 * faceDrift(seed, 40, slow, 2400) + 0.02 * level * faceDrift(seed, 41, time, 420)
  );
}

function faceMascot(rig, mesh) {
  const seed = faceSeed(rig.picture);
  const motion = faceMotion(seed);
  const shape = faceShaper(rig);
  const levelAt = faceLevel();
  const points = new Float64Array(rig.vertices.length);
  const glow = faceGlow(rig.glow, mesh.layout);
  let drawn = null;
  let shown = "";
  return {
    draw(timeMs, mouth, mood) {
      const now = motion(timeMs, mouth, mood);
      const level = levelAt(timeMs, faceClamp(Number(mouth.jaw) || 0, 0, 1));
      const weights = { ...faceMouth(rig, mouth), breath: now.breath };
      // What is slow goes at the tick's pace, so that half of a silent one's frames cost nothing.
      const slow = Math.floor(timeMs / FACE_TICK_MS) * FACE_TICK_MS;
      const stretch = 0.014 * (now.breath - 0.5) + 0.075 * level - 0.055 * now.nod;
      const lean = faceMascotLean(seed, slow, timeMs, level);
      const slide = 5 * faceDrift(seed, 42, slow, 3100);
      const wanted = JSON.stringify([stretch, lean, slide, level, weights]);
      if (wanted === shown) return drawn;
      shown = wanted;
      shape(points, weights);
      faceSquash(rig, points, stretch, lean, slide);
      const behind = (frame) => glow(frame, 0.1 + 0.45 * level, 1.5 + 0.45 * level);
      drawn = mesh.draw(points, glow ? behind : null);
      return drawn;
    },
  };
}
