// One visit to a meeting, from the door to the way out. The server says what is so; this shows it.

import { Call } from "./call.js";
import { toggles } from "./controls.js";
import { Devices } from "./devices.js";
import { Door } from "./door.js";
import { config, el, say, show } from "./dom.js";
import { showRefusal, showEnd } from "./ending.js";
import { generation } from "./generation.js";
import { Wire } from "./wire.js";

export async function start() {
  if (config.room === null) {
    showRefusal("unknown");
    return;
  }
  new Visit(config.room);
}

class Visit {
  constructor(room) {
    this.room = room;
    this.devices = new Devices();
    this.devices.settled = () => this.settled();
    this.call = null;
    this.door = null;
    show(generation.ending({ title: say("getting_ready"), body: null, buttons: [] }));
    this.wire = new Wire(room, {
      message: (message) => this.heard(message),
      dropped: () => this.call?.dropped(),
      back: () => this.call?.back(),
      lost: () => this.over(() => showEnd("left")),
    });
    addEventListener("pagehide", () => this.wire.finish({ type: "leave" }));
  }

  heard(message) {
    const steps = {
      welcome: () => this.welcomed(message),
      lobby: () => this.waits(message.text),
      consent: () => this.asked(message),
      admitted: () => this.admitted(message),
      refused: () => this.over(() => showRefusal(message.why)),
      removed: () => this.over(() => showEnd("removed")),
      ended: () => this.over(() => showEnd("ended")),
      replaced: () => this.over(() => showEnd("replaced")),
      left: () => this.over(() => showEnd("left")),
    };
    if (message.type in steps) steps[message.type]();
    else this.call?.heard(message);
  }

  welcomed(message) {
    if (this.call !== null || this.door !== null) {
      // The server had given up on us: we are strangers again.
      this.over(() => showEnd("left"));
      return;
    }
    if (message.door.refused !== null) {
      this.over(() => showRefusal(message.door.refused));
      return;
    }
    this.door = new Door(this.devices, message, (name) => this.knock(name));
    this.door.open();
  }

  knock(name) {
    this.myName = name;
    this.wire.send({ type: "knock", name, microphone: this.devices.microphone, camera: this.devices.camera });
  }

  /** The browser has answered at last: with devices or without. */
  settled() {
    if (this.myName === undefined) return;
    for (const type of ["microphone", "camera"]) this.wire.send({ type, on: this.devices[type] });
    this.call?.picture.devicesCame();
  }

  waits(text) {
    if (this.call !== null) return;
    const body = text === "asking" ? say("asking_body") : null;
    const video = preview(this.devices);
    const leave = generation.control("leave", () => this.leave());
    leave.show({ label: say("leave_call"), icon: "call_end" });
    const home = generation.textButton(say("home"), () => this.leave(), { kind: "text" });
    const controls = [...toggles(this.devices, this.wire), leave.root];
    const myName = this.myName || config.account?.name || "";
    show(generation.lobby({ video, myName, title: say(`${text}_title`), body, controls, home }));
  }

  /** What is kept of the call must be agreed to, or one leaves. */
  asked(message) {
    const title = message.kinds.map((kind) => say(`consent_${kind}`)).join(". ") + ".";
    const answer = (accept) => {
      box.remove();
      this.wire.send({ type: "consent", accept });
    };
    const yes = say(message.entering ? "join_now" : "got_it");
    const box = generation.dialog({
      title,
      body: say("consent_body"),
      buttons: [
        generation.textButton(say("leave"), () => answer(false), { action: "cancel" }),
        generation.textButton(yes, () => answer(true), { kind: "primary", action: "ok" }),
      ],
    });
    document.body.append(box);
  }

  admitted(message) {
    if (this.call === null) this.call = new Call(this, message);
    else this.call.again(message);
  }

  leave() {
    this.wire.send({ type: "leave" });
    this.over(() => showEnd("left"));
  }

  /** Nothing more comes after this: devices and connections are let go. */
  over(end) {
    this.call?.close();
    this.devices.close();
    this.wire.finish();
    end();
  }
}

/** Our own picture. */
export function preview(devices) {
  const video = el("video", { autoplay: true, playsinline: true });
  video.muted = true;
  video.srcObject = devices.stream;
  return video;
}
