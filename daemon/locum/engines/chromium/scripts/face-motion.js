// What a face does by itself: it breathes, blinks, looks away and back, sways, nods.
//
// All of it is a function of the time, in milliseconds, and of the picture it was made from: each
// persona has a rhythm of its own, and the same one in every meeting. What depends on what went
// before (how far it has turned to whoever speaks) moves at a bounded pace and arrives exactly,
// so that a second later nothing of the past is left.

const FACE_TICK_MS = 1000 / 15; // The slow motion's pace; half of a camera's.
const FACE_TURN_MS = 600; // From not attentive to attentive, and back.
const FACE_FORGET_MS = 1000; // After such a gap nothing is eased.
const FACE_NOD_MS = 900;

function faceSeed(hex) {
  let seed = 2166136261;
  for (const letter of String(hex)) seed = Math.imul(seed ^ letter.charCodeAt(0), 16777619);
  return seed | 0;
}

// A number from 0 up to 1 that belongs to (seed, channel, cell): the same for ever.
function faceChance(seed, channel, cell) {
  let h = Math.imul(seed ^ Math.imul(channel + 1, 0x9e3779b1), 0x85ebca6b);
  h ^= Math.imul((cell | 0) ^ (h >>> 15), 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 13), 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 16), 0x165667b1);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

function faceClamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// From 0 to 1 without a jerk, as `value` goes from 0 to 1.
function faceEase(value) {
  const x = faceClamp(value, 0, 1);
  return x * x * x * (x * (x * 6 - 15) + 10);
}

// A wave that never repeats, from -1 to 1: it passes a new value every `period` milliseconds.
function faceDrift(seed, channel, time, period) {
  const cell = Math.floor(time / period);
  const before = faceChance(seed, channel, cell) * 2 - 1;
  const after = faceChance(seed, channel, cell + 1) * 2 - 1;
  return before + (after - before) * faceEase(time / period - cell);
}

// A bump: 0, up to 1 at `centre`, and 0 again, `reach` to both sides.
function faceBump(x, centre, reach) {
  const distance = Math.abs(x - centre) / reach;
  return distance >= 1 ? 0 : faceEase(1 - distance);
}

// ── eyes ──────────────────────────────────────────────────────────────────────────────

const FACE_BLINK_CELL_MS = 3300;
const FACE_GLANCE_CELL_MS = 4300;

// How far the lids are down, `since` milliseconds after a blink began: down fast, up slower.
function faceLids(since) {
  if (since <= 0 || since >= 300) return 0;
  if (since < 80) return faceEase(since / 80);
  return since < 115 ? 1 : 1 - faceEase((since - 115) / 185);
}

function faceBlink(seed, time) {
  const now = Math.floor(time / FACE_BLINK_CELL_MS);
  let lids = 0;
  for (const cell of [now - 1, now]) {
    const kind = faceChance(seed, 1, cell);
    if (kind < 0.1) continue;
    const since = time - (cell + 0.05 + 0.75 * faceChance(seed, 2, cell)) * FACE_BLINK_CELL_MS;
    lids = Math.max(lids, faceLids(since));
    if (kind > 0.86) lids = Math.max(lids, faceLids(since - 330)); // Twice.
  }
  return lids;
}

// Where the eyes look while they wander: mostly at whoever looks at us, sometimes aside for a
// moment, and always back. `moving` is how long the way takes: the eyes jump, the head follows.
// Answers how far aside (x and y, -1 to 1) and whether the glance began with a blink.
function faceGlance(seed, time, moving) {
  const cell = Math.floor(time / FACE_GLANCE_CELL_MS);
  const since = time - cell * FACE_GLANCE_CELL_MS;
  if (faceChance(seed, 3, cell) > 0.62) return { x: 0, y: 0, lids: 0 };
  const begins = (0.2 + 0.4 * faceChance(seed, 4, cell)) * FACE_GLANCE_CELL_MS;
  const lasts = 500 + 650 * faceChance(seed, 5, cell);
  const away =
    faceEase((since - begins) / moving) - faceEase((since - begins - lasts) / moving);
  const side = faceChance(seed, 6, cell) < 0.5 ? -1 : 1;
  const blinks = faceChance(seed, 9, cell) < 0.4;
  return {
    x: away * side * (0.35 + 0.5 * faceChance(seed, 7, cell)),
    y: away * (0.9 * faceChance(seed, 8, cell) - 0.35),
    lids: blinks ? faceLids(since - begins + 40) : 0,
  };
}

// The small steps that eyes make even while they look at one thing.
function faceFixation(seed, channel, time) {
  const cell = Math.floor(time / 870);
  const step = (n) => faceChance(seed, channel, n) * 2 - 1;
  return step(cell - 1) + (step(cell) - step(cell - 1)) * faceEase((time - cell * 870) / 40);
}

// ── head ──────────────────────────────────────────────────────────────────────────────

// A nod, `since` milliseconds after it began: down and up, and once more, smaller. 0 to 1.
function faceNod(since) {
  const x = since / FACE_NOD_MS;
  if (!(x > 0 && x < 1)) return 0;
  return faceBump(x, 0.27, 0.27) + 0.5 * faceBump(x, 0.73, 0.25);
}

// Nods of its own accord, of one who listens.
function faceOwnNod(seed, time) {
  const cell = Math.floor(time / 5900);
  if (faceChance(seed, 11, cell) > 0.5) return 0;
  const begins = 0.1 + 0.7 * faceChance(seed, 12, cell);
  const size = 0.45 + 0.35 * faceChance(seed, 13, cell);
  return size * faceNod(time - (cell + begins) * 5900);
}

// Where the head is in the course of things, and how the chest rises: all that is slow.
function faceSway(seed, time, attentive, speaking, level) {
  const wander = 1 - 0.35 * attentive;
  const slow = (channel, period) => faceDrift(seed, channel, time, period);
  const lively = (channel, period) => speaking * faceDrift(seed, channel, time, period);
  return {
    yaw: wander * (0.032 * slow(20, 2900) + 0.01 * slow(21, 1100)) + 0.016 * lively(30, 900),
    pitch: wander * (0.018 * slow(22, 2300) + 0.006 * slow(23, 900)) + 0.01 * lively(31, 700) -
      0.016 * speaking * level - 0.006 * attentive,
    roll: wander * 0.014 * slow(24, 3700) + 0.007 * lively(32, 1300) +
      0.012 * attentive * slow(27, 9000),
    tx: 2.2 * slow(25, 3300),
    ty: 1.2 * slow(26, 2700) + 1.2 * speaking * level,
    zoom: 0.008 * attentive,
    breath: 0.5 - 0.5 * Math.cos((2 * Math.PI * time) / 4200 + 0.8 * slow(28, 6000)),
    brow: 0.12 * attentive + 0.35 * speaking * level * faceEase(0.5 + slow(29, 1500)),
  };
}

// ── all together ──────────────────────────────────────────────────────────────────────

function faceTowards(value, target, step) {
  return value < target ? Math.min(target, value + step) : Math.max(target, value - step);
}

// What eases over time: `at(time, mouth, mood)` answers how attentive, how speaking, how loud (each
// 0 to 1) and how far into a nod we are. A nod is asked for by `mood.nod`, in one frame or more.
function faceMoods() {
  let last = null;
  let tick = null;
  let attentive = 0;
  let speaking = 0;
  let level = 0;
  let asked = false;
  let nodded = -Infinity;

  return function at(time, mouth, mood) {
    const fresh = last === null || time < last || time - last > FACE_FORGET_MS;
    const nod = Boolean(mood.nod);
    if (fresh) {
      asked = false;
      nodded = -Infinity;
      tick = null;
    }
    if (nod && !asked && time - nodded > FACE_NOD_MS * 0.7) nodded = time;
    asked = nod;
    last = time;
    const nowTick = Math.floor(time / FACE_TICK_MS);
    if (nowTick !== tick) {
      const step = tick === null ? Infinity : (nowTick - tick) * FACE_TICK_MS;
      tick = nowTick;
      const loud = mood.speaking ? faceClamp(mouth.jaw || 0, 0, 1) : 0;
      attentive = faceTowards(attentive, mood.attentive ? 1 : 0, step / FACE_TURN_MS);
      speaking = faceTowards(speaking, mood.speaking ? 1 : 0, step / 400);
      level = faceTowards(level, loud, step / (loud > level ? 250 : 500));
    }
    return {
      tick: nowTick,
      attentive: faceEase(attentive),
      speaking: faceEase(speaking),
      level,
      nod: faceNod(time - nodded),
    };
  };
}

// Everything that moves by itself at `time`: weights of shapes, and how the head stands.
function faceMotion(seed) {
  const moods = faceMoods();
  return function at(time, mouth, mood) {
    const now = moods(time, mouth, mood);
    const head = faceSway(seed, now.tick * FACE_TICK_MS, now.attentive, now.speaking, now.level);
    const nod = Math.min(1, now.nod + now.attentive * faceOwnNod(seed, time));
    // What is quick isn't slowed to the tick: where the eyes go, the head follows a little.
    const follow = 0.035 * (1 - 0.8 * now.attentive);
    const turn = faceGlance(seed, time, 480);
    head.yaw += follow * turn.x;
    head.pitch -= 0.5 * follow * turn.y + 0.062 * nod;
    head.ty += 2 * nod;
    const glance = faceGlance(seed, time, 55);
    const aside = 1 - 0.8 * now.attentive;
    // The eyes stay where they look while the head moves.
    const gazeX = aside * glance.x + 0.07 * faceFixation(seed, 14, time) - 4 * head.yaw;
    const gazeY = aside * glance.y + 0.05 * faceFixation(seed, 15, time) + 4 * head.pitch;
    const lids = Math.max(faceBlink(seed, time), glance.lids * aside);
    return {
      head,
      level: now.level,
      nod,
      lids: faceClamp(lids + 0.12 * Math.max(0, gazeY) * (1 - lids), 0, 1),
      gazeX: faceClamp(gazeX, -1, 1),
      gazeY: faceClamp(gazeY, -1, 1),
      brow: faceClamp(head.brow, 0, 1),
      breath: head.breath,
    };
  };
}
