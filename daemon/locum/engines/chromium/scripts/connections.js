// Every RTCPeerConnection of the page, from its first moment, however it is made: by either name,
// or by a class that extends it.

const CONNECTIONS_KEPT = 64;

function createConnections(onTrack) {
  const open = new Set();
  const known = new Set(); // Constructors of ours.

  function watch(connection) {
    open.add(connection);
    if (open.size > CONNECTIONS_KEPT) open.delete(open.values().next().value);
    const heard = (event) => guarded("track", () => onTrack(event));
    EventTarget.prototype.addEventListener.call(connection, "track", heard);
  }

  function hook(Native) {
    return new Proxy(Native, {
      construct(target, values, maker) {
        const connection = Reflect.construct(target, values, known.has(maker) ? target : maker);
        guarded("connection", () => watch(connection));
        return connection;
      },
    });
  }

  const Native = globalThis.RTCPeerConnection;
  if (Native) {
    const Ours = hook(Native);
    known.add(Ours);
    for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection"]) {
      const before = Object.getOwnPropertyDescriptor(globalThis, name);
      if (before) Object.defineProperty(globalThis, name, { ...before, value: Ours });
    }
    Object.defineProperty(Native.prototype, "constructor", {
      value: Ours,
      writable: true,
      configurable: true,
    });
  }

  return {
    now() {
      for (const connection of open) {
        if (connection.connectionState === "closed") open.delete(connection);
      }
      return [...open];
    },
  };
}
