// A test pattern, for when there is no face: a grey picture with a bar that moves, and a mouth
// that opens. Same interface as the faces.
function createPattern({ width, height }) {
  const size = width * height;
  const frame = new Uint8Array((size * 3) / 2);
  frame.fill(90, 0, size);
  frame.fill(128, size);
  const bar = Math.max(2, width >> 5);
  let barWas = 0;

  function fill(left, top, right, bottom, value) {
    for (let y = top; y < bottom; y += 1) frame.fill(value, y * width + left, y * width + right);
  }

  return {
    draw(timeMs, mouth, mood) {
      fill(barWas, 0, barWas + bar, height >> 2, 90);
      barWas = Math.floor(((timeMs % 4000) / 4000) * (width - bar));
      fill(barWas, 0, barWas + bar, height >> 2, mood.speaking ? 235 : 160);
      const middle = Math.floor(height * 0.7);
      const open = Math.floor((mouth.jaw * height) / 8);
      fill(width >> 2, middle - (height >> 3), width - (width >> 2), middle + (height >> 3), 90);
      fill(width >> 2, middle - open, width - (width >> 2), middle + open, 16);
      return frame;
    },
  };
}

// What is shown where there will be a face in a moment: nothing, and no test pattern either.
function createBlank({ width, height }) {
  const frame = new Uint8Array((width * height * 3) / 2);
  frame.fill(24, 0, width * height);
  frame.fill(128, width * height);
  return { draw: () => frame };
}
