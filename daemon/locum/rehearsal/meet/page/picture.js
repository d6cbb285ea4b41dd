// Sound and picture of the call: hands the devices to the meeting's media, and what comes to the tiles.

import { el } from "./dom.js";
import { MeetingMedia } from "./media.js";

const AUDIO_SLOTS = 3; // As Meet: the loudest three, whoever they are at the time.
const VIDEO_SLOTS = 6;

export class Picture {
  constructor(call) {
    this.call = call;
    this.holder = el("div", { class: "media", "aria-hidden": "true" });
    const elements = (tag, count) => Array.from({ length: count }, () => el(tag, { autoplay: true, playsinline: true }));
    this.audio = elements("audio", AUDIO_SLOTS);
    this.video = elements("video", VIDEO_SLOTS);
    for (const video of this.video) {
      video.muted = true;
      // Whose it is may be said before it comes.
      video.addEventListener("loadedmetadata", () => this.place());
    }
    this.holder.append(...this.audio, ...this.video);
    document.body.append(this.holder);
    this.shown = [];
    this.media = new MeetingMedia({
      send: (message) => call.wire.send(message),
      audio: this.audio,
      video: this.video,
      onSlots: (shown) => {
        this.shown = shown;
        this.place();
      },
      onState: (state) => this.changed(state),
    });
  }

  start() {
    const track = (kind) => this.call.devices.stream.getTracks().find((each) => each.kind === kind) ?? null;
    this.call.devices.replaced = (kind, sent) => this.replace(kind, sent);
    this.media.start({ audio: track("audio"), video: track("video") });
    this.place();
  }

  replace(kind, track) {
    if (this.media.state !== "closed") this.media.replace(kind, track);
    this.place();
  }

  /** One joined before the browser gave the devices. */
  devicesCame() {
    for (const track of this.call.devices.stream.getTracks()) this.replace(track.kind, track);
  }

  changed(state) {
    if (state === "reconnecting") this.call.dropped("media");
    if (state === "connected") this.call.back("media");
  }

  /** The page's socket was gone: whatever became of the connection meanwhile, begin anew. */
  again() {
    this.media.connect();
  }

  take(message) {
    this.media.take(message);
  }

  /** There is no media server: the call goes on without, as the stage's settings say. */
  refused() {
    this.media.close();
    this.call.back("media");
  }

  /** Puts what is received where it is looked at; called after every change of the roster. */
  place() {
    const mine = this.call.people.video(this.call.me);
    if (mine !== null && mine.srcObject !== this.call.devices.stream) mine.srcObject = this.call.devices.stream;
    const seen = new Map(this.shown.map(({ element, participant }) => [participant, element]));
    for (const { id } of this.call.people.present) {
      if (id === this.call.me) continue;
      const video = this.call.people.video(id);
      const stream = seen.get(id)?.srcObject ?? null;
      if (video !== null && video.srcObject !== stream) video.srcObject = stream;
    }
  }

  close() {
    this.media.close();
    this.holder.remove();
  }
}
