// Lays a piece of face, drawn elsewhere, over the frame: it follows the head as the mesh does, and
// fades out towards its sides. Where there is none, the rig's own frame is what one sees.

const FACE_FADE = 0.14; // Of a patch's sides.

// A patch as textures: `picture` is its pixels, RGBA, with even sides.
function facePatchSource(picture) {
  const { width, height } = picture;
  const frame = faceFrame(width, height);
  facePaint(frame, picture);
  const matte = new Uint8Array(width * height);
  const near = (at, size) => Math.min(at + 0.5, size - at - 0.5) / (FACE_FADE * size);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      matte[y * width + x] = Math.round(255 * faceEase(near(x, width)) * faceEase(near(y, height)));
    }
  }
  const half = [width >> 1, height >> 1, 2];
  return {
    width,
    height,
    luma: [faceTexture(frame.luma, width, height, 2)],
    chroma: [faceTexture(frame.blue, ...half), faceTexture(frame.red, ...half)],
    lumaMatte: faceTexture(matte, width, height, 2),
    chromaMatte: faceTexture(faceHalved(matte, width, height), ...half),
  };
}

// `patch` is { picture, box: [left, top, width, height] } in pixels of the rig's frame.
function facePatch(rig, layout, frame, patch, head) {
  const [left, top, width, height] = patch.box;
  const source = facePatchSource(facePixels(patch.picture));
  const corners = [left, top, left + width, top, left, top + height, left + width, top + height];
  const points = Float64Array.from(corners);
  // It lies as deep as the lips, and follows the head wholly.
  const depth = rig.mouth ? rig.depth[rig.mouth.upper] : 0;
  const plane = { pivot: rig.pivot, head: [1, 1, 1, 1], depth: [depth, depth, depth, depth] };
  faceTurn(plane, points, head);
  const at = points.map((value, i) =>
    Math.round((value * layout.scale + (i % 2 ? layout.top : layout.left)) * FACE_GRID),
  );
  const [wide, high] = [source.width, source.height];
  const places = [0, 0, wide, 0, 0, high, wide, high];
  for (const three of [[0, 1, 2], [1, 3, 2]]) {
    const c = three.flatMap((i) => [at[2 * i], at[2 * i + 1]]);
    const t = three.flatMap((i) => [places[2 * i], places[2 * i + 1]]);
    faceTriangle(
      [frame.luma], frame.width, frame.height, source.luma, source.lumaMatte, FACE_GRID, c, t,
    );
    faceTriangle(
      [frame.blue, frame.red], frame.width >> 1, frame.height >> 1, source.chroma,
      source.chromaMatte, 2 * FACE_GRID, c, t.map((value) => value / 2),
    );
  }
}
