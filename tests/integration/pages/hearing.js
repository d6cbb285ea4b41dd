// What both pages of these tests have: gathering candidates, and keeping what a track sounds like.
var pc = null;
var heard = [];

async function gathered() {
  if (pc.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      pc.addEventListener("icegatheringstatechange", () => {
        if (pc.iceGatheringState === "complete") resolve();
      });
    });
  }
  return pc.localDescription.sdp;
}

async function keep(track) {
  // Without an element that plays it, nothing of a remote track arrives.
  const element = new Audio();
  element.muted = true;
  element.srcObject = new MediaStream([track]);
  element.play();
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const block = new Float32Array(value.numberOfFrames);
    value.copyTo(block, { planeIndex: 0, format: "f32-planar" });
    heard.push([performance.timeOrigin + performance.now(), block]);
    value.close();
  }
}

// All samples since the last call, with the instant of each block, as base64 of 16-bit PCM.
function fetchHeard() {
  const blocks = heard;
  heard = [];
  const all = new Int16Array(blocks.reduce((n, [, block]) => n + block.length, 0));
  const instants = [];
  let at = 0;
  for (const [instant, block] of blocks) {
    instants.push([instant, at]);
    for (const value of block) all[at++] = Math.max(-1, Math.min(1, value)) * 32767;
  }
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) {
    text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  }
  return { pcm: btoa(text), instants };
}
