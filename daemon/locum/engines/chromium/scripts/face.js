// A face that speaks: the entry to all of face-*.js, which are put before this one.
//
// `kind` is "face" or "mascot"; `rig` its document (its format stands in locum.persona.rigging),
// `textures` its pictures by name, as ImageBitmaps decoded without premultiplying or converting
// colours, or as { width, height, data } of RGBA. Sides are even.
//
// draw(timeMs, mouth, mood) answers an I420 picture (BT.601, narrow range), width × height; it is
// the same array every time, so it holds until the next call. `timeMs` is any clock's; `mouth` has
// the weights of locum.core.speech.Mouth; `mood` is { attentive, speaking, nod }, where a true
// `nod` begins one. The same time, mouth and mood are the same bytes, in every browser, as
// long as the mood has been the same for a second.
//
// draw(timeMs, mouth, mood, patch) lays a piece of face over it that a neural renderer drew: see
// face-patch.js. Without one, or where it is late, nothing is missing.
function createFace({ kind, rig, textures, width, height }) {
  const pictures = faceTexturesOf(textures);
  const mesh = faceMesh(rig, pictures, width, height);
  return kind === "mascot" ? faceMascot(rig, mesh) : faceOfSomebody(rig, mesh);
}

function faceOfSomebody(rig, mesh) {
  const motion = faceMotion(faceSeed(rig.picture));
  const shape = faceShaper(rig);
  const points = new Float64Array(rig.vertices.length);
  const patched = faceFrame(mesh.width, mesh.height);
  return {
    draw(timeMs, mouth, mood, patch = null) {
      const now = motion(timeMs, mouth, mood);
      shape(points, {
        ...faceMouth(rig, mouth),
        blink0: now.lids,
        blink1: now.lids,
        gazex0: now.gazeX,
        gazex1: now.gazeX,
        gazey0: now.gazeY,
        gazey1: now.gazeY,
        brow: now.brow,
        breath: now.breath,
      });
      faceTurn(rig, points, now.head);
      const drawn = mesh.draw(points);
      if (patch === null) return drawn;
      // On a copy: what is drawn of the rig stays, for the next frame.
      patched.bytes.set(drawn);
      facePatch(rig, mesh.layout, patched, patch, now.head);
      return patched.bytes;
    },
  };
}
