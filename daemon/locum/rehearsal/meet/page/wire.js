// The WebSocket to the stage. A connection that drops is taken up again, as the same participant.

const PING_MS = 8000;
const PAUSES_MS = [300, 700, 1500, 3000];
const GIVE_UP_MS = 60000;

/**
 * on.message(message): whatever the server says. on.dropped() and on.back(): the connection
 * is gone, or here again. on.lost(): it has been tried for a minute.
 */
export class Wire {
  constructor(room, on) {
    this.room = room;
    this.on = on;
    this.resume = null;
    this.finished = false;
    this.tries = 0;
    this.droppedAt = null;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.send({ type: "hello", room: this.room, resume: this.resume });
      clearInterval(this.pings);
      this.pings = setInterval(() => this.send({ type: "ping" }), PING_MS);
    });
    socket.addEventListener("message", (event) => this.heard(JSON.parse(event.data)));
    socket.addEventListener("close", () => this.closed(socket));
  }

  heard(message) {
    if (message.type === "welcome") this.resume = message.resume;
    if (this.droppedAt !== null) {
      this.droppedAt = null;
      this.tries = 0;
      this.on.back();
    }
    this.on.message(message);
  }

  closed(socket) {
    if (socket !== this.socket || this.finished) return;
    clearInterval(this.pings);
    if (this.droppedAt === null) {
      this.droppedAt = performance.now();
      this.on.dropped();
    }
    if (performance.now() - this.droppedAt > GIVE_UP_MS) {
      this.finish();
      this.on.lost();
      return;
    }
    setTimeout(() => this.open(), PAUSES_MS[Math.min(this.tries++, PAUSES_MS.length - 1)]);
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Says a last word, if there is one, and hangs up for good. */
  finish(message = null) {
    if (message !== null) this.send(message);
    this.finished = true;
    clearInterval(this.pings);
    this.socket.close();
  }
}
