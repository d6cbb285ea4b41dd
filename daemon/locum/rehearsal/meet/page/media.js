// The meeting page's sound and picture: one RTCPeerConnection to the meeting's server, on
// which one's own microphone and camera go out and everybody else's come in.
//
// Others arrive on slots that are asked for once, in the first offer, and never negotiated
// again: on a few audio slots that switch between those who speak, and on video slots of which
// a `slots` message says whose they are. Who is on an audio slot shows only in its packets'
// contributing sources.
//
// This module knows nothing of the page's looks and nothing of who opened it. It gets the
// elements to play on, a function that sends a message to the server, and tracks; it tells
// when the connection's state changes.

const GATHERED_WITHIN_MS = 2000;
const ANSWERED_WITHIN_MS = 10000;
const LONGEST_PAUSE_MS = 8000;

export class MeetingMedia {
  // options:
  //   send(message)            a plain object for the server: {type: "offer", sdp, id}
  //   audio                    the <audio> elements to play on, one a slot
  //   video                    the <video> elements to play on, one a slot
  //   onSlots(shown)           [{element, participant}], participant null for a free slot
  //   onState(state)           "connecting", "connected", "reconnecting", "closed"
  //   patience                 ms that a disconnected connection may take to come back alone
  constructor({ send, audio = [], video = [], onSlots = () => {}, onState = () => {}, patience = 5000 }) {
    this.send = send;
    this.audio = audio;
    this.video = video;
    this.onSlots = onSlots;
    this.onState = onState;
    this.patience = patience;
    this.state = "new";
    this.tracks = { audio: null, video: null };
    this.senders = {};
    this.slots = new Map(); // mid of a video slot -> its element
    this.lastSlots = null;
    this.offers = 0;
    this.pause = 1000;
    this.timer = null;
    this.peer = null;
  }

  // Connects, with the tracks that there are. A kind without a track can get one later.
  async start({ audio = null, video = null } = {}) {
    this.tracks = { audio, video };
    await this.connect();
  }

  // Takes a message of the server's; true if it was for us.
  async take(message) {
    if (message.type === "answer") {
      const current = message.id === undefined || message.id === this.offers;
      if (current && this.peer && this.peer.signalingState === "have-local-offer") {
        await this.peer.setRemoteDescription({ type: "answer", sdp: message.sdp });
      }
      return true;
    }
    if (message.type === "slots") {
      this.lastSlots = message;
      this.showSlots();
      return true;
    }
    return false;
  }

  // Mutes or opens the microphone ("audio") or the camera ("video"): the track stays, and
  // sends silence or black while it is disabled.
  enable(kind, on) {
    const track = this.tracks[kind];
    if (track) track.enabled = on;
    return Boolean(track);
  }

  enabled(kind) {
    const track = this.tracks[kind];
    return Boolean(track && track.enabled && track.readyState === "live");
  }

  // Sends another track of that kind from now on, or none (null).
  async replace(kind, track) {
    const before = this.tracks[kind];
    if (track && before) track.enabled = before.enabled;
    this.tracks[kind] = track;
    if (this.senders[kind]) await this.senders[kind].replaceTrack(track);
  }

  // Who is on the audio slots: [{source, level, at}], the newest of each contributing source.
  speakers() {
    const newest = new Map();
    if (!this.peer) return [];
    for (const receiver of this.peer.getReceivers()) {
      if (receiver.track.kind !== "audio") continue;
      for (const each of receiver.getContributingSources()) {
        const known = newest.get(each.source);
        if (!known || known.at < each.timestamp) {
          newest.set(each.source, { source: each.source, level: each.audioLevel, at: each.timestamp });
        }
      }
    }
    return [...newest.values()];
  }

  // Begins a new connection in place of the present one: after a failure, or when the page
  // knows better than the connection does (its socket to the server was gone).
  async connect() {
    if (this.state === "closed") return;
    this.setState(this.state === "new" ? "connecting" : "reconnecting");
    clearTimeout(this.timer);
    if (this.peer) this.dispose(this.peer);
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.peer = peer;
    peer.addEventListener("connectionstatechange", () => this.connectionChanged(peer));
    peer.addEventListener("track", (event) => this.play(event));
    this.addSections(peer);
    // Whatever goes wrong from here, an answer that never comes included, is tried again.
    this.timer = setTimeout(() => this.again(), ANSWERED_WITHIN_MS);
    await peer.setLocalDescription(await peer.createOffer());
    this.nameSlots();
    await gathered(peer);
    if (peer !== this.peer || peer.signalingState === "closed") return;
    this.offers += 1;
    this.send({ type: "offer", sdp: peer.localDescription.sdp, id: this.offers });
  }

  close() {
    clearTimeout(this.timer);
    this.setState("closed");
    if (this.peer) this.dispose(this.peer);
    this.peer = null;
    for (const element of [...this.audio, ...this.video]) element.srcObject = null;
  }

  addSections(peer) {
    // One stream for both, so that whoever receives them holds them together.
    const stream = new MediaStream();
    for (const kind of ["audio", "video"]) {
      const track = this.tracks[kind];
      const options = { direction: "sendonly", streams: [stream] };
      this.senders[kind] = peer.addTransceiver(track || kind, options).sender;
    }
    this.audioSlots = this.audio.map(() => peer.addTransceiver("audio", { direction: "recvonly" }));
    this.videoSlots = this.video.map(() => peer.addTransceiver("video", { direction: "recvonly" }));
  }

  // Sections have names (mids) as soon as there is an offer.
  nameSlots() {
    this.slots = new Map(this.videoSlots.map((each, index) => [each.mid, this.video[index]]));
  }

  play(event) {
    const { transceiver, track } = event;
    const index = (track.kind === "audio" ? this.audioSlots : this.videoSlots).indexOf(transceiver);
    const element = index < 0 ? null : this[track.kind][index];
    if (!element) return;
    element.srcObject = new MediaStream([track]);
    // A page that nobody has touched yet may not play sound; it will when somebody does.
    element.play().catch(() => {});
  }

  showSlots() {
    if (!this.lastSlots) return;
    const shown = [];
    for (const { mid, participant } of this.lastSlots.video) {
      const element = this.slots.get(mid);
      if (element) shown.push({ element, participant });
    }
    if (shown.length) this.onSlots(shown);
  }

  connectionChanged(peer) {
    if (peer !== this.peer) return;
    const state = peer.connectionState;
    if (state === "connected") {
      clearTimeout(this.timer);
      this.pause = 1000;
      this.setState("connected");
    } else if (state === "disconnected") {
      this.setState("reconnecting");
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.connect(), this.patience);
    } else if (state === "failed" || state === "closed") {
      this.again();
    }
  }

  // Tries once more after a pause, which grows from try to try.
  again() {
    if (this.state === "closed") return;
    this.setState("reconnecting");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
  }

  setState(state) {
    if (state === this.state || this.state === "closed") return;
    this.state = state;
    this.onState(state);
  }

  dispose(peer) {
    // Its own farewell is no failure.
    if (this.peer === peer) this.peer = null;
    peer.close();
  }
}

// Until all candidates are in the description; the offer goes out whole.
function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHERED_WITHIN_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}
