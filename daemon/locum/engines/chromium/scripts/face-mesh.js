// A picture that is bent: the mesh of a rig, posed, and as much of it drawn as has moved.
//
// What a frame looks like depends on where the corners are, never on how it came about: a triangle
// is drawn again when one of its corners has moved by a step of the grid, and what else is there is
// exactly what drawing everything anew would give. Where triangles fold over each other, all of
// those nearby are drawn in their order; where the picture is see-through, everything is.

const FACE_MOUTH = ["jaw", "upper", "lower", "wide", "pucker", "press", "close"];
const FACE_OPAQUE = 252; // From here on nobody sees what is behind.
const FACE_SMALL_FOLD = 25; // Pixels: what it hides is among its neighbours.
const FACE_MOST_OUTSIDE = 44; // Pixels of the rig's frame that a mesh may reach beyond it.

// Pictures by name as RGBA, whatever they came as: ImageBitmap, or { width, height, data }.
const faceRead = new WeakMap(); // Reading back is slow, and a face is made anew for each size.

function facePixels(picture) {
  if (picture.data) return picture;
  let pixels = faceRead.get(picture);
  if (!pixels) {
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    pixels = context.getImageData(0, 0, picture.width, picture.height);
    faceRead.set(picture, pixels);
  }
  return pixels;
}

function faceTexturesOf(textures) {
  const named = {};
  for (const [name, picture] of Object.entries(textures)) {
    named[name.replace(/\.png$/, "")] = facePixels(picture);
  }
  return named;
}

// The rig's frame laid over ours, whole and in the middle: how many of our pixels one of its is.
function faceLayout(rig, width, height) {
  const [wide, high] = rig.frame;
  const scale = Math.max(width / wide, height / high);
  return { scale, left: (width - wide * scale) / 2, top: (height - high * scale) / 2 };
}

// A texture of the rig's frame as planes of ours, and its matte: null where all is opaque.
function faceSource(picture, layout, width, height) {
  const step = 1 / layout.scale;
  const laid = faceResampled(
    picture, width, height, -layout.left * step, -layout.top * step, step,
  );
  const frame = faceFrame(width, height);
  facePaint(frame, laid);
  const edge = Math.ceil(FACE_MOST_OUTSIDE * layout.scale) + 2;
  const half = [width >> 1, height >> 1, (edge >> 1) + 2];
  const matte = new Uint8Array(width * height);
  for (let i = 0; i < matte.length; i++) matte[i] = Math.round(laid.data[4 * i + 3]);
  const source = {
    luma: [faceTexture(frame.luma, width, height, edge)],
    chroma: [faceTexture(frame.blue, ...half), faceTexture(frame.red, ...half)],
    matte,
    lumaMatte: null,
    chromaMatte: null,
  };
  if (matte.some((opacity) => opacity < FACE_OPAQUE)) {
    source.lumaMatte = faceTexture(matte, width, height, edge);
    source.chromaMatte = faceTexture(faceHalved(matte, width, height), ...half);
  }
  return source;
}

function faceHalved(plane, width, height) {
  const half = width >> 1;
  const halved = new Uint8Array(half * (height >> 1));
  for (let y = 0; y < height >> 1; y++) {
    for (let x = 0; x < half; x++) {
      const a = 2 * y * width + 2 * x;
      const sum = plane[a] + plane[a + 1] + plane[a + width] + plane[a + width + 1];
      halved[y * half + x] = (sum + 2) >> 2;
    }
  }
  return halved;
}

// ── the mesh at rest ──────────────────────────────────────────────────────────────────

// How far to the right a vertex is, along the face.
function faceAlong(rig) {
  const [x, y] = rig.right;
  return (i) => rig.vertices[2 * i] * x + rig.vertices[2 * i + 1] * y;
}

// Which of the rim's vertices is the right corner; the first is the left one.
function faceRimTurn(rig) {
  const along = faceAlong(rig);
  const { rim } = rig.mouth;
  return rim.reduce((best, vertex, k) => (along(vertex) > along(rim[best]) ? k : best), 0);
}

// Triangles that fill the hole of the mouth with what the picture shows there, so that the soft
// edge of the lips has lips under it, on both sides.
function faceHole(rig) {
  if (!rig.mouth) return [];
  const { rim } = rig.mouth;
  const along = faceAlong(rig);
  const turn = faceRimTurn(rig);
  // Two chains from the left corner to the right one, stitched together step by step.
  const upper = rim.slice(0, turn + 1);
  const lower = [rim[0], ...rim.slice(turn).reverse()];
  const triangles = [];
  let [i, j] = [0, 0];
  while (i + 1 < upper.length || j + 1 < lower.length) {
    const [a, b] = [upper[i], lower[j]];
    const stepUpper = j + 1 >= lower.length || along(upper[i + 1]) <= along(lower[j + 1]);
    const next = i + 1 < upper.length && stepUpper ? upper[++i] : lower[++j];
    if (next !== a && next !== b && a !== b) triangles.push(a, next, b);
  }
  return triangles;
}

function faceArea(points, a, b, c) {
  const [ax, ay] = [points[2 * a], points[2 * a + 1]];
  return (
    (points[2 * b] - ax) * (points[2 * c + 1] - ay) -
    (points[2 * c] - ax) * (points[2 * b + 1] - ay)
  );
}

// Which triangles can be seen through, at rest: all that touch a pixel that isn't opaque.
function faceSeeThrough(triangles, places, matte, width, height) {
  const count = triangles.length / 3;
  const through = new Uint8Array(count);
  for (let t = 0; t < count; t++) {
    const three = [0, 1, 2].map((k) => triangles[3 * t + k]);
    const xs = three.map((i) => places[2 * i]);
    const ys = three.map((i) => places[2 * i + 1]);
    const left = faceClamp(Math.floor(Math.min(...xs)) - 1, 0, width);
    const right = faceClamp(Math.ceil(Math.max(...xs)) + 1, 0, width);
    const top = faceClamp(Math.floor(Math.min(...ys)) - 1, 0, height);
    const bottom = faceClamp(Math.ceil(Math.max(...ys)) + 1, 0, height);
    for (let y = top; y < bottom && !through[t]; y++) {
      for (let x = left; x < right; x++) {
        if (matte[y * width + x] < FACE_OPAQUE) {
          through[t] = 1;
          break;
        }
      }
    }
  }
  return through;
}

// Answers which triangles have a corner within two steps of `vertices`: what a soft edge there, or
// a fold, may touch.
function faceNeighbours(triangles) {
  const around = new Map();
  triangles.forEach((vertex, at) => {
    if (!around.has(vertex)) around.set(vertex, []);
    around.get(vertex).push(Math.floor(at / 3));
  });
  return function near(vertices) {
    let corners = new Set(vertices);
    let found = new Set();
    for (let ring = 0; ring < 2; ring++) {
      found = new Set([...corners].flatMap((vertex) => around.get(vertex) || []));
      corners = new Set([...found].flatMap((t) => [...triangles.subarray(3 * t, 3 * t + 3)]));
    }
    return Uint32Array.from(found).sort();
  };
}

// ── posing ────────────────────────────────────────────────────────────────────────────

// Adds the shapes to the vertices at rest.
function faceShaper(rig) {
  const rest = Float64Array.from(rig.vertices);
  const shapes = Object.entries(rig.shapes).map(([name, { vertices, moves }]) => [
    name,
    Uint32Array.from(vertices),
    Float64Array.from(moves),
  ]);
  return function shape(points, weights) {
    points.set(rest);
    for (const [name, vertices, moves] of shapes) {
      const weight = weights[name] || 0;
      if (weight === 0) continue;
      for (let j = 0; j < vertices.length; j++) {
        points[2 * vertices[j]] += weight * moves[2 * j];
        points[2 * vertices[j] + 1] += weight * moves[2 * j + 1];
      }
    }
  };
}

// Turns the head; see "Posing a face" in locum.persona.rigging.
function faceTurn(rig, points, head) {
  const [px, py] = rig.pivot;
  const [sinYaw, cosYaw] = [Math.sin(head.yaw), Math.cos(head.yaw)];
  const [sinPitch, cosPitch] = [Math.sin(head.pitch), Math.cos(head.pitch)];
  for (let i = 0; i < rig.head.length; i++) {
    const follows = rig.head[i];
    if (follows === 0) continue;
    let x = points[2 * i] - px;
    let y = points[2 * i + 1] - py;
    const z = -rig.depth[i];
    const turnedX = x * cosYaw + z * sinYaw;
    const turnedZ = z * cosYaw - x * sinYaw;
    const turnedY = y * cosPitch - turnedZ * sinPitch;
    x += (turnedX - x) * follows;
    y += (turnedY - y) * follows;
    const cos = Math.cos(head.roll * follows);
    const sin = Math.sin(head.roll * follows);
    const size = 1 + head.zoom * follows;
    points[2 * i] = px + (x * cos - y * sin) * size + head.tx * follows;
    points[2 * i + 1] = py + (x * sin + y * cos) * size + head.ty * follows;
  }
}

// The mouth as the rig's shapes want it: within bounds, and held shut where the picture's isn't.
function faceMouth(rig, mouth) {
  const weights = {};
  for (const name of FACE_MOUTH) {
    const value = Number(mouth[name]) || 0;
    weights[name] = faceClamp(value, name === "lower" ? -1 : 0, 1);
  }
  if (rig.mouth) {
    const shut = rig.mouth.rest_close * Math.max(0, 1 - 3.5 * weights.jaw);
    weights.close = Math.max(weights.close, shut);
  }
  return weights;
}

// ── drawing ───────────────────────────────────────────────────────────────────────────

// A mesh over a still background. `draw(points, behind)` takes posed vertices in the rig's pixels;
// `behind(frame)`, where given, paints onto the background before the mesh, and is asked anew
// every time.
function faceMesh(rig, textures, width, height) {
  const layout = faceLayout(rig, width, height);
  const source = faceSource(textures.fg, layout, width, height);
  const opaque = source.lumaMatte === null;
  const still = opaque && !textures.bg ? textures.fg : textures.bg;
  const ground = faceFrame(width, height);
  const step = 1 / layout.scale;
  facePaint(
    ground,
    faceResampled(still, width, height, -layout.left * step, -layout.top * step, step),
  );
  const frame = faceFrame(width, height);
  const triangles = Uint32Array.from([...rig.triangles, ...faceHole(rig)]);
  const count = triangles.length / 3;
  const places = Float64Array.from(rig.vertices, (value, i) =>
    value * layout.scale + (i % 2 ? layout.top : layout.left),
  );
  const through = opaque
    ? new Uint8Array(count)
    : faceSeeThrough(triangles, places, source.matte, width, height);
  let side = 0;
  for (let t = 0; t < count; t++) {
    side += Math.sign(faceArea(places, ...triangles.subarray(3 * t, 3 * t + 3)));
  }
  const near = faceNeighbours(triangles);
  const layers = (rig.inside || []).map(({ texture, vertices }) => ({
    texture: faceValues(textures[texture]),
    vertices,
  }));
  return facePainter({
    frame, ground, source, triangles, places, through, layers, layout, near,
    side: Math.sign(side), // The way round that triangles have which lie face up.
    rim: rig.mouth ? rig.mouth.rim : [],
    mouth: rig.mouth
      ? { ...rig.mouth, left: rig.mouth.rim[0], right: rig.mouth.rim[faceRimTurn(rig)] }
      : null,
    quads: layers.flatMap(({ vertices }) => vertices),
  });
}

// `work` is what faceMesh prepared. Answers { draw, layout, width, height }.
function facePainter(work) {
  const { frame, ground, triangles, places, side, layout } = work;
  const corners = new Int32Array(places.length);
  const before = new Int32Array(places.length);
  const moved = new Uint8Array(places.length / 2);
  const again = new Uint8Array(triangles.length / 3);
  const three = new Float64Array(6);
  const texture = new Float64Array(6);
  const lumas = [frame.luma];
  const chromas = [frame.blue, frame.red];
  let whole = true; // The next frame has to be drawn from nothing.
  const round = work.near(work.rim);
  const rings = new Map();
  let foldedBefore = [];

  function snap(points) {
    let any = false;
    for (let i = 0; i < moved.length; i++) {
      const x = Math.round((points[2 * i] * layout.scale + layout.left) * FACE_GRID);
      const y = Math.round((points[2 * i + 1] * layout.scale + layout.top) * FACE_GRID);
      moved[i] = x !== before[2 * i] || y !== before[2 * i + 1] ? 1 : 0;
      any = any || moved[i] === 1;
      corners[2 * i] = x;
      corners[2 * i + 1] = y;
    }
    before.set(corners);
    return any;
  }

  // Which triangles lie on their backs: there, what is seen depends on the order of drawing.
  function foldedNow() {
    const found = [];
    let wide = false;
    for (let t = 0; t < again.length; t++) {
      const [a, b, c] = [triangles[3 * t], triangles[3 * t + 1], triangles[3 * t + 2]];
      const area = side * faceArea(corners, a, b, c);
      if (area >= 0) continue;
      found.push(t);
      wide = wide || -area > 2 * FACE_SMALL_FOLD * FACE_GRID * FACE_GRID;
    }
    return { found, wide };
  }

  function around(t) {
    if (!rings.has(t)) rings.set(t, work.near(triangles.subarray(3 * t, 3 * t + 3)));
    return rings.get(t);
  }

  // Marks what to draw again; in a group all, when one of it has to be.
  function mark(groups) {
    again.fill(0);
    if (work.quads.some((i) => moved[i] === 1)) for (const t of round) again[t] = 1;
    for (let t = 0; t < again.length; t++) {
      again[t] |=
        moved[triangles[3 * t]] | moved[triangles[3 * t + 1]] | moved[triangles[3 * t + 2]];
    }
    let open = groups;
    let before = Infinity;
    while (open.length < before) {
      before = open.length;
      open = open.filter((group) => {
        if (!group.some((t) => again[t] === 1)) return true;
        for (const t of group) again[t] = 1;
        return false;
      });
    }
  }

  function triangle(t) {
    for (let k = 0; k < 3; k++) {
      const i = triangles[3 * t + k];
      three[2 * k] = corners[2 * i];
      three[2 * k + 1] = corners[2 * i + 1];
      texture[2 * k] = places[2 * i];
      texture[2 * k + 1] = places[2 * i + 1];
    }
    const { source } = work;
    const over = work.through[t] === 1;
    const { width, height } = frame;
    faceTriangle(
      lumas, width, height, source.luma, over ? source.lumaMatte : null,
      FACE_GRID, three, texture,
    );
    for (let k = 0; k < 6; k++) texture[k] /= 2;
    faceTriangle(
      chromas, width >> 1, height >> 1, source.chroma,
      over ? source.chromaMatte : null, 2 * FACE_GRID, three, texture,
    );
  }

  function at(i) {
    return [corners[2 * i] / FACE_GRID, corners[2 * i + 1] / FACE_GRID];
  }

  function inside() {
    if (work.rim.length === 0 || work.layers.length === 0) return;
    faceInside(
      frame,
      work.rim.flatMap(at),
      work.layers.map(({ texture: picture, vertices }) => ({
        texture: picture,
        quad: vertices.flatMap(at),
      })),
      faceLight(...[work.mouth.left, work.mouth.right, work.mouth.upper, work.mouth.lower].map(at)),
    );
  }

  return {
    layout,
    width: frame.width,
    height: frame.height,
    draw(points, behind = null) {
      const any = snap(points);
      if (!any && !whole && behind === null) return frame.bytes;
      const { found, wide } = foldedNow();
      mark([round, ...new Set([...found, ...foldedBefore].map(around))]);
      foldedBefore = found;
      if (whole || wide || behind !== null || again.some((yes, t) => yes && work.through[t])) {
        frame.bytes.set(ground.bytes);
        if (behind !== null) behind(frame);
        again.fill(1);
      }
      for (let t = 0; t < again.length; t++) if (again[t]) triangle(t);
      if (round.some((t) => again[t] === 1)) inside();
      whole = wide;
      return frame.bytes;
    },
  };
}
