// Camera and microphone, asked for before one joins, switched on and off, and handed to the call.
// One may join before the browser has answered; then they come when they come.

import { config } from "./dom.js";
import { generation } from "./generation.js";

const WANTED = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  video: { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
};

/** `microphone` and `camera`: on, as the buttons say. `problem`: why the browser gives none. */
export class Devices {
  constructor() {
    this.stream = new MediaStream();
    this.microphone = true;
    this.camera = true;
    this.problem = null;
    this.pending = true;
    this.changed = () => {};
    this.settled = () => {};
    this.replaced = () => {};
    this.hadCamera = false;
  }

  /** Asks the browser; a refusal isn't an error, one can join without. */
  async open() {
    try {
      if (config.devicesRefused) throw new DOMException("refused on this stage", "NotAllowedError");
      this.take(await navigator.mediaDevices.getUserMedia(WANTED));
    } catch (both) {
      this.problem = both.name;
      this.microphone = this.camera = false;
      // Where one of them is missing, the other will still do.
      if (both.name === "NotFoundError") await this.openOne();
    }
    this.pending = false;
    this.changed();
    this.settled();
  }

  /** The person at the page would rather not. */
  goWithout() {
    this.microphone = this.camera = this.pending = false;
    this.changed();
  }

  async openOne() {
    for (const kind of ["audio", "video"]) {
      try {
        this.take(await navigator.mediaDevices.getUserMedia({ [kind]: WANTED[kind] }));
        if (kind === "audio") this.microphone = true;
        else this.camera = true;
      } catch (one) {
        this.problem = one.name;
      }
    }
  }

  take(stream) {
    for (const track of stream.getTracks()) this.stream.addTrack(track);
    if (this.has("video")) this.hadCamera = true;
    this.apply();
  }

  /** Whether there is one to switch on: here, or let go only for now. */
  can(what) {
    if (what === "microphone") return this.has("audio");
    return this.has("video") || (generation.stopsCamera && this.hadCamera);
  }

  has(kind) {
    return this.stream.getTracks().some((track) => track.kind === kind);
  }

  set(what, on) {
    this[what] = on && (this.pending || this.can(what));
    this.apply();
    this.changed();
    if (what === "camera" && generation.stopsCamera) this.restartCamera();
  }

  /** A camera that is off is let go, so that its lamp goes out; on again, it is another track. */
  async restartCamera() {
    for (const track of this.stream.getVideoTracks()) {
      if (this.camera) return;
      track.stop();
      this.stream.removeTrack(track);
      this.replaced("video", null);
    }
    if (!this.camera) return;
    try {
      this.take(await navigator.mediaDevices.getUserMedia({ video: WANTED.video }));
      this.replaced("video", this.stream.getVideoTracks()[0]);
    } catch (error) {
      this.problem = error.name;
      this.camera = false;
      this.changed();
    }
  }

  apply() {
    for (const track of this.stream.getTracks()) {
      track.enabled = track.kind === "audio" ? this.microphone : this.camera;
    }
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
  }
}
