// What is seen through the open mouth, with the soft edge that the lips have before it.
//
// The triangles of the mesh are drawn with hard sides, which nobody sees where they continue one
// picture. At the lips' inner edge two pictures meet; so the hole is drawn last, each pixel in the
// measure in which the outline covers it.

const FACE_ROWS = 4; // Rows of samples in a pixel; across, the cover is exact.

// How much of each pixel a closed outline covers, 0 to 256. `points` are x, y, x, y … in pixels.
// Answers { left, top, width, height, cover }, cut to the frame, or null where it covers nothing.
function faceCover(points, frameWidth, frameHeight) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 2) {
    left = Math.min(left, points[i]);
    right = Math.max(right, points[i]);
    top = Math.min(top, points[i + 1]);
    bottom = Math.max(bottom, points[i + 1]);
  }
  left = Math.max(0, Math.floor(left));
  top = Math.max(0, Math.floor(top));
  const width = Math.min(frameWidth, Math.ceil(right)) - left;
  const height = Math.min(frameHeight, Math.ceil(bottom)) - top;
  if (!(width > 0 && height > 0)) return null;
  const sums = new Float32Array(width * height);
  for (let row = 0; row < height * FACE_ROWS; row++) {
    const y = top + (row + 0.5) / FACE_ROWS;
    const line = sums.subarray(Math.floor(row / FACE_ROWS) * width);
    const crossings = faceCrossings(points, y);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      faceAddSpan(line, width, crossings[i] - left, crossings[i + 1] - left);
    }
  }
  const cover = new Uint16Array(width * height);
  for (let i = 0; i < cover.length; i++) cover[i] = Math.round((sums[i] * 256) / FACE_ROWS);
  return { left, top, width, height, cover };
}

function faceCrossings(points, y) {
  const found = [];
  const count = points.length / 2;
  for (let i = 0; i < count; i++) {
    const j = (i + 1) % count;
    const y0 = points[2 * i + 1];
    const y1 = points[2 * j + 1];
    if (y0 <= y === y1 <= y) continue;
    found.push(points[2 * i] + ((y - y0) * (points[2 * j] - points[2 * i])) / (y1 - y0));
  }
  return found.sort((a, b) => a - b);
}

function faceAddSpan(line, width, from, to) {
  const start = Math.max(0, from);
  const end = Math.min(width, to);
  for (let x = Math.floor(start); x < end; x++) {
    line[x] += Math.min(end, x + 1) - Math.max(start, x);
  }
}

// Where in a texture a pixel of the frame falls: the texture's corners lie on those of a quad
// [upper left, upper right, lower left, …], of which three say enough, as it is never twisted.
function facePlacing(quad, texture) {
  const [x0, y0, x1, y1, x2, y2] = quad;
  const area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
  if (Math.abs(area) < 1e-6) return null;
  return {
    u: -0.5,
    v: -0.5,
    x0,
    y0,
    ux: ((y2 - y0) * texture.width) / area,
    uy: (-(x2 - x0) * texture.width) / area,
    vx: (-(y1 - y0) * texture.height) / area,
    vy: ((x1 - x0) * texture.height) / area,
  };
}

// The texture's values at a place, blended from the four around; beyond its sides there is none.
// Writes luma, blue, red and opacity (0 to 1) into `out`.
function faceSample(texture, u, v, out) {
  const { width, height, values } = texture;
  out[3] = 0;
  if (u <= -1 || v <= -1 || u >= width || v >= height) return;
  const x = Math.floor(u);
  const y = Math.floor(v);
  const x0 = Math.max(x, 0);
  const y0 = Math.max(y, 0);
  const a = 4 * (y0 * width + x0);
  const b = 4 * (y0 * width + Math.min(x + 1, width - 1));
  const below = 4 * width * (Math.min(y + 1, height - 1) - y0);
  const fx = u - x;
  const fy = v - y;
  for (let i = 0; i < 4; i++) {
    const upper = values[a + i] * (1 - fx) + values[b + i] * fx;
    const lower = values[a + below + i] * (1 - fx) + values[b + below + i] * fx;
    out[i] = upper * (1 - fy) + lower * fy;
  }
}

// A small texture as luma, blue, red and opacity (0 to 1), four numbers a pixel.
function faceValues(picture) {
  const { width, height, data } = picture;
  const values = new Float32Array(width * height * 4);
  for (let i = 0; i < values.length; i += 4) {
    values[i] = faceLuma(data[i], data[i + 1], data[i + 2]);
    values[i + 1] = faceChromaBlue(data[i], data[i + 1], data[i + 2]);
    values[i + 2] = faceChromaRed(data[i], data[i + 1], data[i + 2]);
    values[i + 3] = data[i + 3] / 255;
  }
  return { width, height, values };
}

// How light it is in there: { x, y, acrossX, acrossY, open } from the lips' posed corners and middles
// (pixels). Less towards the corners, and next to nothing behind lips that are all but shut.
function faceLight([x0, y0], [x1, y1], [upperX, upperY], [lowerX, lowerY]) {
  const wide = Math.hypot(x1 - x0, y1 - y0) || 1;
  const gap = Math.hypot(lowerX - upperX, lowerY - upperY) / wide;
  return {
    x: (x0 + x1) / 2,
    y: (y0 + y1) / 2,
    acrossX: (2 * (x1 - x0)) / (wide * wide),
    acrossY: (2 * (y1 - y0)) / (wide * wide),
    open: 0.1 + 0.9 * faceClamp((gap - 0.035) / 0.05, 0, 1),
  };
}

// Draw layers (back to front: { texture, quad }) into the outline `rim`, both in pixels.
function faceInside(frame, rim, layers, light) {
  faceInsidePlanes([frame.luma], frame.width, frame.height, rim, layers, light, 1);
  const half = [frame.blue, frame.red];
  const [width, height] = [frame.width >> 1, frame.height >> 1];
  faceInsidePlanes(half, width, height, rim, layers, light, 0.5);
}

function faceInsidePlanes(planes, width, height, rim, layers, light, scale) {
  const scaled = (points) => points.map((value) => value * scale);
  const covered = faceCover(scaled(rim), width, height);
  if (covered === null) return;
  const seen = layers
    .map(({ texture, quad }) => ({ texture, placing: facePlacing(scaled(quad), texture) }))
    .filter(({ placing }) => placing !== null);
  const first = planes.length === 1 ? 0 : 1;
  const dark = first === 0 ? 22 : 128;
  const sample = new Float32Array(4);
  const colour = new Float32Array(2);
  for (let row = 0; row < covered.height; row++) {
    for (let column = 0; column < covered.width; column++) {
      const cover = covered.cover[row * covered.width + column];
      if (cover === 0) continue;
      const x = covered.left + column;
      const y = covered.top + row;
      const at = y * width + x;
      for (let i = 0; i < planes.length; i++) colour[i] = planes[i][at];
      for (const { texture, placing: p } of seen) {
        const dx = x + 0.5 - p.x0;
        const dy = y + 0.5 - p.y0;
        faceSample(texture, p.u + p.ux * dx + p.uy * dy, p.v + p.vx * dx + p.vy * dy, sample);
        for (let i = 0; i < planes.length; i++) {
          colour[i] += (sample[first + i] - colour[i]) * sample[3];
        }
      }
      const aside =
        ((x + 0.5) / scale - light.x) * light.acrossX +
        ((y + 0.5) / scale - light.y) * light.acrossY;
      const share = light.open * Math.max(0, 1 - 0.75 * aside * aside * aside * aside);
      for (let i = 0; i < planes.length; i++) {
        const lit = dark + (colour[i] - dark) * (first === 0 ? share : 0.4 + 0.6 * share);
        const under = planes[i][at];
        planes[i][at] = Math.round(under + ((lit - under) * cover) / 256);
      }
    }
  }
}
