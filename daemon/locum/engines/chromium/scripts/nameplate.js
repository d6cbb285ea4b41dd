// Writes into the picture whose stand-in it is. A room shows the name of the account that is
// signed in, which may be its owner's own: the picture says the truth, whatever the page shows.

const NAMEPLATE_HEIGHT = 0.055; // Of the picture's.
const NAMEPLATE_ABOVE = 0.02; // Below its upper edge, where no page lays its own labels.
const NAMEPLATE_WIDEST = 0.96;

// Answers a function that writes `text` into I420 pixels and answers others: a face goes on
// with its own.
function createNameplate({ text, width, height }) {
  if (text === "") return (pixels) => pixels;
  const strip = drawnNameplate(text, width, height);
  const stamped = new Uint8Array((width * height * 3) / 2);
  return (pixels) => {
    stamped.set(pixels);
    stampNameplate(stamped, strip, width, height);
    return stamped;
  };
}

// The text white on a dark strip, as luma, with where it goes; all of it even, for the chroma.
function drawnNameplate(text, width, height) {
  const even = (value) => Math.round(value / 2) * 2;
  const tall = Math.max(12, even(height * NAMEPLATE_HEIGHT));
  const canvas = new OffscreenCanvas(width, tall);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const font = (size) => `600 ${size}px "DejaVu Sans", "Liberation Sans", Arial, sans-serif`;
  const margin = tall / 2;
  let size = Math.round(tall * 0.68);
  context.font = font(size);
  const most = width * NAMEPLATE_WIDEST - 2 * margin;
  const long = context.measureText(text).width;
  if (long > most) {
    size = Math.max(6, Math.floor((size * most) / long));
    context.font = font(size);
  }
  const wide = Math.min(even(context.measureText(text).width + 2 * margin), even(width));
  context.fillStyle = "#202124";
  context.fillRect(0, 0, wide, tall);
  context.fillStyle = "#ffffff";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, wide / 2, tall / 2 + size * 0.05, wide);
  const { data } = context.getImageData(0, 0, wide, tall);
  const luma = new Uint8Array(wide * tall);
  for (let i = 0; i < luma.length; i++) {
    luma[i] = (66 * data[4 * i] + 129 * data[4 * i + 1] + 25 * data[4 * i + 2] + 4224) >> 8;
  }
  return { luma, wide, tall, left: even((width - wide) / 2), top: even(height * NAMEPLATE_ABOVE) };
}

function stampNameplate(pixels, { luma, wide, tall, left, top }, width, height) {
  for (let y = 0; y < tall; y++) {
    pixels.set(luma.subarray(y * wide, (y + 1) * wide), (top + y) * width + left);
  }
  const [half, planes] = [width / 2, [width * height, (width * height * 5) / 4]];
  for (const plane of planes) {
    for (let y = top / 2; y < (top + tall) / 2; y++) {
      const from = plane + y * half + left / 2;
      pixels.fill(128, from, from + wide / 2);
    }
  }
}
