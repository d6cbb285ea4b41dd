// Puts it all together, and leaves for Python one object to call, which it takes away at once.

guarded("start", () => {
  const ears = createEars();
  const connections = createConnections(ears.onTrack);
  const camera = createCamera();
  const voice = createVoice(camera);
  const devices = createDevices({ camera, voice, connections });
  const handle = {
    push(...values) {
      devices.looked(); // A track can be taken off a connection without our hearing of it.
      return voice.push(...values);
    },
    opened(ms) {
      devices.looked();
      return voice.opened(ms);
    },
    hush: (id) => voice.hush(id),
    duck: (down) => voice.duck(down),
    listen: (attentive) => camera.listen(attentive),
    nod: () => camera.nod(),
    burden: (ms) => camera.burden(ms),
    dress: ({ kind, rig, textures }) => {
      const pictures = Object.entries(textures).map(([name, png]) => [name, bytesOf(png)]);
      camera.dress({ kind, rig, textures: Object.fromEntries(pictures) });
    },
    proof: () => proofOf(connections.now(), devices, ears),
    stats: () => ({ ...camera.counts(), ...voice.counts() }),
    close() {
      voice.close();
      camera.close();
    },
  };
  const door = Symbol.for(SETTINGS.door);
  Object.defineProperty(globalThis, door, { value: handle, configurable: true });
  tell({ kind: "hello" });
});
