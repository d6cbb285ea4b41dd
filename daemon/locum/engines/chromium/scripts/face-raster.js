// Pictures, triangles and filled outlines, in three planes of numbers (I420), and nothing else.
//
// A page may refuse eval, WebAssembly and WebGL, and a machine without a graphics card draws
// WebGL seven times slower than this. So: plain arithmetic on typed arrays. Everything here is
// exact and without memory of earlier frames, so that the same input is the same bytes, always.

// Corners of triangles lie on a grid of a sixteenth of a pixel: two triangles that share a side
// then agree on every pixel along it, and no crack can open between them.
const FACE_GRID = 16;

// BT.601 with the narrow range, which is what a VideoFrame of I420 is taken for.
function faceLuma(red, green, blue) {
  return (66 * red + 129 * green + 25 * blue + 4224) >> 8;
}

function faceChromaBlue(red, green, blue) {
  return (-38 * red - 74 * green + 112 * blue + 32896) >> 8;
}

function faceChromaRed(red, green, blue) {
  return (112 * red - 94 * green - 18 * blue + 32896) >> 8;
}

// An empty picture: three planes in one array, as a VideoFrame wants them. Sides must be even.
function faceFrame(width, height) {
  const size = width * height;
  const bytes = new Uint8Array((size * 3) / 2);
  return {
    width,
    height,
    bytes,
    luma: bytes.subarray(0, size),
    blue: bytes.subarray(size, size + size / 4),
    red: bytes.subarray(size + size / 4),
  };
}

// Which source pixels fall into each of `length` target pixels, and in what measure, when the
// target's pixel 0 begins at `from` and each is `step` source pixels wide. Averaging over the area
// keeps a shrunk face free of sparkle; enlarged, it is interpolated.
function faceTaps(source, length, from, step) {
  const reach = Math.max(step, 1);
  const most = Math.ceil(2 * reach) + 2;
  const places = new Int32Array(length * most);
  const shares = new Float32Array(length * most);
  for (let i = 0; i < length; i++) {
    const centre = from + (i + 0.5) * step;
    const first = Math.floor(centre - reach);
    let sum = 0;
    for (let k = 0; k < most; k++) {
      const share = Math.max(0, 1 - Math.abs(first + k + 0.5 - centre) / reach);
      places[i * most + k] = Math.min(Math.max(first + k, 0), source - 1);
      shares[i * most + k] = share;
      sum += share;
    }
    for (let k = 0; k < most; k++) shares[i * most + k] /= sum;
  }
  return { most, places, shares };
}

// Cut and scale an RGBA picture: pixel (0, 0) of the answer begins at (left, top) of the source,
// and is `step` source pixels wide and high. Colours are weighted by their opacity, so that
// nothing bleeds in from under what is transparent.
function faceResampled(picture, width, height, left, top, step) {
  if (step === 1 && left === 0 && top === 0) {
    if (picture.width === width && picture.height === height) return picture;
  }
  const { data } = picture;
  const across = faceTaps(picture.width, width, left, step);
  const down = faceTaps(picture.height, height, top, step);
  const rows = new Float32Array(width * picture.height * 4);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < width; x++) {
      const to = 4 * (y * width + x);
      for (let k = x * across.most; k < (x + 1) * across.most; k++) {
        const from = 4 * (y * picture.width + across.places[k]);
        const share = across.shares[k] * data[from + 3];
        rows[to] += share * data[from];
        rows[to + 1] += share * data[from + 1];
        rows[to + 2] += share * data[from + 2];
        rows[to + 3] += share;
      }
    }
  }
  const result = new Float32Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let k = y * down.most; k < (y + 1) * down.most; k++) {
      const from = 4 * down.places[k] * width;
      const to = 4 * y * width;
      const share = down.shares[k];
      if (share === 0) continue;
      for (let i = 0; i < 4 * width; i++) result[to + i] += share * rows[from + i];
    }
  }
  for (let i = 0; i < result.length; i += 4) {
    const opacity = result[i + 3] || 1;
    result[i] /= opacity;
    result[i + 1] /= opacity;
    result[i + 2] /= opacity;
  }
  return { width, height, data: result };
}

// Put an opaque picture of the frame's own size into it.
function facePaint(frame, picture) {
  const { width, height } = frame;
  const { data } = picture;
  for (let i = 0; i < width * height; i++) {
    frame.luma[i] = faceLuma(data[4 * i], data[4 * i + 1], data[4 * i + 2]);
  }
  const half = width >> 1;
  for (let y = 0; y < height >> 1; y++) {
    for (let x = 0; x < half; x++) {
      const a = 4 * (2 * y * width + 2 * x);
      const b = a + 4 * width;
      const mean = (c) => (data[a + c] + data[a + 4 + c] + data[b + c] + data[b + 4 + c]) / 4;
      frame.blue[y * half + x] = faceChromaBlue(mean(0), mean(1), mean(2));
      frame.red[y * half + x] = faceChromaRed(mean(0), mean(1), mean(2));
    }
  }
}

// One plane made ready for sampling: each entry holds a pixel, its neighbours to the right and
// below, and the one across, so that a blend of the four takes a single read. `edge` pixels all
// round stand for what is beyond: a mesh may reach out of its frame.
function faceTexture(plane, width, height, edge) {
  const stride = width + 2 * edge;
  const rows = height + 2 * edge;
  const quads = new Int32Array(stride * rows);
  const at = (x, y) =>
    plane[
      Math.min(Math.max(y, 0), height - 1) * width + Math.min(Math.max(x, 0), width - 1)
    ];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < stride; x++) {
      const u = x - edge;
      const v = y - edge;
      quads[y * stride + x] =
        at(u, v) | (at(u + 1, v) << 8) | (at(u, v + 1) << 16) | (at(u + 1, v + 1) << 24);
    }
  }
  return { quads, stride, edge };
}

// Slivers have slopes beyond all bounds, and a pixel or two: any colour of theirs will do.
function faceSlope(slope) {
  return slope > 64 || slope < -64 ? 0 : slope;
}

// Blend the four pixels of a quad, at (fx, fy) of 256.
function faceBlend(four, fx, fy) {
  const pair = Math.imul(four & 0xff00ff, 256 - fx) + Math.imul((four >>> 8) & 0xff00ff, fx);
  return ((pair & 0xffff) * (256 - fy) + (pair >>> 16) * fy + 32768) >>> 16;
}

// The three that follow fill a row of a triangle, from `at` up to `end`; (u, v) is the place in
// the texture, in units of 1/65536 pixel.
function faceFillOne(plane, texture, at, end, u, v, stepU, stepV) {
  const { quads, stride } = texture;
  for (; at < end; at++, u += stepU, v += stepV) {
    const four = quads[(v >> 16) * stride + (u >> 16)];
    plane[at] = faceBlend(four, (u >> 8) & 255, (v >> 8) & 255);
  }
}

function faceFillTwo(plane, texture, other, second, at, end, u, v, stepU, stepV) {
  const { quads, stride } = texture;
  const twos = second.quads;
  for (; at < end; at++, u += stepU, v += stepV) {
    const place = (v >> 16) * stride + (u >> 16);
    const fx = (u >> 8) & 255;
    const fy = (v >> 8) & 255;
    plane[at] = faceBlend(quads[place], fx, fy);
    other[at] = faceBlend(twos[place], fx, fy);
  }
}

// Over what is there, for a texture that is transparent in places.
function faceFillOver(plane, texture, matte, at, end, u, v, stepU, stepV) {
  const { quads, stride } = texture;
  const mattes = matte.quads;
  for (; at < end; at++, u += stepU, v += stepV) {
    const place = (v >> 16) * stride + (u >> 16);
    const fx = (u >> 8) & 255;
    const fy = (v >> 8) & 255;
    const share = faceBlend(mattes[place], fx, fy);
    const under = plane[at];
    const over = faceBlend(quads[place], fx, fy);
    plane[at] = under + (((over - under) * share * 257 + 32768) >> 16);
  }
}

// Draw a triangle of `textures` (one or two planes of a size) into `planes`, over what is there
// where `matte` isn't null. `c` has its corners, x0, y0 … y2, in units of which a pixel has
// `unit`; `t` where they are in the texture, u0, v0 … v2, in pixels. A pixel belongs to the
// triangle that its centre is in, and on a side that two share to exactly one of them.
function faceTriangle(planes, width, height, textures, matte, unit, c, t) {
  const area = (c[2] - c[0]) * (c[5] - c[1]) - (c[4] - c[0]) * (c[3] - c[1]);
  if (area === 0) return;
  const scale = unit / area;
  const ux = faceSlope(((t[2] - t[0]) * (c[5] - c[1]) - (t[4] - t[0]) * (c[3] - c[1])) * scale);
  const uy = faceSlope(((t[4] - t[0]) * (c[2] - c[0]) - (t[2] - t[0]) * (c[4] - c[0])) * scale);
  const vx = faceSlope(((t[3] - t[1]) * (c[5] - c[1]) - (t[5] - t[1]) * (c[3] - c[1])) * scale);
  const vy = faceSlope(((t[5] - t[1]) * (c[2] - c[0]) - (t[3] - t[1]) * (c[4] - c[0])) * scale);
  const { edge } = textures[0];
  // Rounding must not lead out of the texture, whatever the slope.
  const lowU = Math.max(Math.min(t[0], t[2], t[4]) - 1, 1 - edge);
  const highU = Math.max(t[0], t[2], t[4]) + 0.5;
  const lowV = Math.max(Math.min(t[1], t[3], t[5]) - 1, 1 - edge);
  const highV = Math.max(t[1], t[3], t[5]) + 0.5;
  // From top to bottom, and from left to right where level: the two triangles at a side must
  // reckon its course from the same end.
  let a = 0;
  let b = 2;
  let d = 4;
  if (c[b + 1] < c[a + 1] || (c[b + 1] === c[a + 1] && c[b] < c[a])) (a = 2), (b = 0);
  if (c[d + 1] < c[b + 1] || (c[d + 1] === c[b + 1] && c[d] < c[b])) (d = b), (b = 4);
  if (c[b + 1] < c[a + 1] || (c[b + 1] === c[a + 1] && c[b] < c[a])) [a, b] = [b, a];
  const [x0, y0, x1, y1] = [c[a], c[a + 1], c[b], c[b + 1]];
  const longSlope = (c[d] - x0) / (c[d + 1] - y0);
  const upperSlope = (x1 - x0) / (y1 - y0);
  const lowerSlope = (c[d] - x1) / (c[d + 1] - y1);
  const half = unit / 2;
  const last = Math.min(height, Math.ceil((c[d + 1] - half) / unit));
  const stepU = Math.round(ux * 65536);
  const stepV = Math.round(vx * 65536);
  const originU = t[0] - 0.5 + (ux * (half - c[0]) + uy * -c[1]) / unit;
  const originV = t[1] - 0.5 + (vx * (half - c[0]) + vy * -c[1]) / unit;
  for (let y = Math.max(0, Math.ceil((y0 - half) / unit)); y < last; y++) {
    const centre = y * unit + half;
    const long = x0 + (centre - y0) * longSlope;
    const short =
      centre < y1 ? x0 + (centre - y0) * upperSlope : x1 + (centre - y1) * lowerSlope;
    const from = Math.max(0, Math.ceil((Math.min(long, short) - half) / unit));
    const to = Math.min(width, Math.ceil((Math.max(long, short) - half) / unit));
    if (from >= to) continue;
    const down = centre / unit;
    const placeU = Math.min(Math.max(originU + ux * from + uy * down, lowU), highU);
    const placeV = Math.min(Math.max(originV + vx * from + vy * down, lowV), highV);
    const u = ((placeU + edge) * 65536) | 0;
    const v = ((placeV + edge) * 65536) | 0;
    const at = y * width + from;
    const end = y * width + to;
    if (matte !== null) {
      for (let i = 0; i < planes.length; i++) {
        faceFillOver(planes[i], textures[i], matte, at, end, u, v, stepU, stepV);
      }
    } else if (planes.length === 1) {
      faceFillOne(planes[0], textures[0], at, end, u, v, stepU, stepV);
    } else {
      faceFillTwo(
        planes[0], textures[0], planes[1], textures[1], at, end, u, v, stepU, stepV,
      );
    }
  }
}
