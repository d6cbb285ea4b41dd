// Inside the call: the bar, the tiles, the panels, and what passes over the screen.

import { Captions } from "./captions.js";
import { Chat } from "./chat.js";
import { toggles } from "./controls.js";
import { arrange, config, el, say, show } from "./dom.js";
import { generation } from "./generation.js";
import { People } from "./people.js";
import { Picture } from "./picture.js";

const TOAST_MS = 5000;
const MOST_TOASTS = 4;

export class Call {
  constructor(visit, message) {
    this.visit = visit;
    this.wire = visit.wire;
    this.devices = visit.devices;
    this.me = message.id;
    this.known = null;
    this.hand = false;
    this.gone = new Set();
    this.notices = new Set(message.notices);
    this.people = new People(this);
    this.chat = new Chat(this, message.composer);
    this.captions = new Captions(this);
    this.build(message);
    this.picture = new Picture(this);
    this.picture.start();
  }

  build(message) {
    this.toasts = el("div", { class: "toasts", role: "status", "aria-live": "polite" });
    this.banners = el("div", { class: "banners" });
    this.noticeBox = el("div", { class: "notices" });
    this.panel = generation.panel();
    this.leaveButton = this.button("leave", "leave_call", "call_end", () => this.visit.leave());
    this.handButton = generation.control("hand", () => this.raise(!this.hand));
    const bar = [...toggles(this.devices, this.wire)];
    if (message.captions) bar.push(this.captions.button.root);
    bar.push(
      this.button("reaction", "reaction", "mood"),
      this.handButton.root,
      this.button("present", "present_now", "present_to_all"),
      this.button("more", "more", "more_vert"),
      this.leaveButton,
    );
    const side = [this.button("details", "details", "info"), this.people.button.root, this.chat.button.root];
    show(
      generation.call({
        tiles: this.people.tiles,
        captions: this.captions.place,
        bar,
        side,
        panel: this.panel.root,
        banners: this.banners,
        toasts: this.toasts,
        notices: this.noticeBox,
      }),
    );
    this.showHand();
    this.showNotices();
  }

  button(kind, text, icon, press = () => {}) {
    const made = generation.control(kind, press);
    made.show({ label: say(text), icon });
    return made.root;
  }

  heard(message) {
    const steps = {
      roster: () => this.roster(message.people),
      caption: () => this.captions.heard(message),
      chat: () => this.chat.heard(message),
      mute: () => this.mutedBy(message.by),
      unmute: () => this.askedToUnmute(message.by),
      notice: () => this.noticed(message),
      answer: () => this.picture.take(message),
      slots: () => this.picture.take(message),
      refused_offer: () => this.picture.refused(),
    };
    steps[message.type]?.();
  }

  /** The connection was dropped and taken up; the server has kept our place. */
  again(message) {
    this.me = message.id;
    this.notices = new Set(message.notices);
    this.showNotices();
    this.devices.set("microphone", message.microphone);
    if (this.captions.on) this.wire.send({ type: "captions", on: true });
    this.picture.again();
  }

  // ── people ─────────────────────────────────────────────────────────────────────────────

  roster(people) {
    this.people.show(people);
    this.picture.place();
    const now = new Map(people.map((person) => [person.id, person]));
    if (this.known !== null) this.tellChanges(this.known, now);
    this.known = now;
  }

  tellChanges(before, now) {
    for (const [id, person] of now) {
      if (id === this.me) continue;
      if (!before.has(id)) this.toast(say("joined", { name: person.name }));
      else if (person.hand && !before.get(id).hand) this.toast(say("hand_raised", { name: person.name }));
    }
    for (const [id, person] of before) {
      if (!now.has(id)) this.toast(say("went", { name: person.name }));
    }
  }

  raise(up) {
    this.hand = up;
    this.wire.send({ type: "hand", up });
    this.showHand();
  }

  showHand() {
    const keys = generation.shortcuts ? " (ctrl + alt + h)" : "";
    this.handButton.show({ label: say(this.hand ? "hand_down" : "hand_up") + keys, icon: "back_hand", pressed: this.hand });
  }

  // ── what the host does ─────────────────────────────────────────────────────────────────

  mutedBy(by) {
    this.devices.set("microphone", false);
    this.toast(say("muted_by", { name: by }));
    // It looks like trouble, and means nothing but what it says.
    this.toast(say("mic_is_off"));
  }

  askedToUnmute(by) {
    const answer = (yes) => () => {
      box.remove();
      if (!yes) return;
      this.devices.set("microphone", true);
      this.wire.send({ type: "microphone", on: this.devices.microphone });
    };
    const box = generation.dialog({
      title: say("unmute_asked", { name: by }),
      body: null,
      buttons: [
        generation.textButton(say("stay_muted"), answer(false), { action: "cancel" }),
        generation.textButton(say("unmute"), answer(true), { kind: "primary", action: "ok" }),
      ],
    });
    document.body.append(box);
  }

  noticed({ kind, on }) {
    if (on) this.notices.add(kind);
    else this.notices.delete(kind);
    this.toast(on ? say(`consent_${kind}`) : say("stopped", { what: say(kind) }));
    this.showNotices();
  }

  showNotices() {
    const chips = [...this.notices].map((kind) => el("div", { class: `notice ${kind}`, "aria-label": say(`consent_${kind}`), role: "img" }, say(kind)));
    this.noticeBox.replaceChildren(...chips);
  }

  // ── what passes ────────────────────────────────────────────────────────────────────────

  toast(text) {
    const shut = generation.control("close", () => box.remove());
    shut.show({ label: say("close"), icon: "close" });
    const box = el("div", { class: "toast" }, el("span", {}, text), shut.root);
    arrange(this.toasts, [...this.toasts.children, box].slice(-MOST_TOASTS));
    setTimeout(() => box.remove(), TOAST_MS);
  }

  /** `what` is gone, the socket or the media; one banner for both. */
  dropped(what = "socket") {
    this.gone.add(what);
    this.banner ??= el("div", { role: "alert", class: "banner" }, el("strong", {}, say("reconnecting")), " ", say("lost_network"));
    this.banners.replaceChildren(this.banner);
  }

  back(what = "socket") {
    this.gone.delete(what);
    if (this.gone.size === 0) this.banners.replaceChildren();
  }

  close() {
    this.picture.close();
  }
}
