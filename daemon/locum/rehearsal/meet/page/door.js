// Before joining: our picture, our name, a button, and whatever Meet lays over them.

import { toggles } from "./controls.js";
import { config, el, say, show } from "./dom.js";
import { generation } from "./generation.js";
import { preview } from "./meet.js";

export class Door {
  constructor(devices, welcome, knock) {
    this.devices = devices;
    this.welcome = welcome;
    this.knock = knock;
    this.name = "";
  }

  async open() {
    const { door } = this.welcome;
    // Meet asks for the devices behind its first dialog, not before.
    if (!door.modals.includes("devices")) this.ask();
    this.show();
    for (const modal of door.modals) await this.modal(modal);
  }

  async ask() {
    this.asked ??= this.devices.open();
    await this.asked;
    this.video.srcObject = this.devices.stream;
    if (this.devices.problem === "NotAllowedError" && config.devicesRefused) await this.modal("refused");
  }

  show() {
    const { door, people } = this.welcome;
    this.video = preview(this.devices);
    this.join = this.joinButton(door.button);
    const field = door.name_field ? generation.nameField((typed) => this.typed(typed)) : null;
    const account = this.welcome.account;
    const form = field ?? el("div", {}, say("signed_in_as", { name: account.name }), " ", el("span", {}, account.email));
    const here = people.length === 0 ? say("nobody_here") : say("in_the_call", { names: people.slice(0, 3).join(", ") });
    const signIn = door.name_field
      ? generation.textButton(say("sign_in"), () => location.assign(config.signIn), { kind: "text" })
      : null;
    show(
      generation.prejoin({
        video: this.video,
        controls: toggles(this.devices),
        title: say(door.name_field ? "whats_your_name" : "ready"),
        form,
        notes: el("div", { class: "notes" }, here),
        buttons: [this.join, generation.textButton(say("other_ways"), () => {}, { kind: "text" }), signIn].filter(Boolean),
      }),
    );
    this.typed("");
  }

  joinButton(kind) {
    const named = kind === "ask_without_camera" ? say("ask_without_camera") : null;
    const label = kind === "ask_without_camera" ? say("ask_to_join") : say(kind);
    return generation.textButton(label, () => this.press(), { named, kind: "primary" });
  }

  typed(name) {
    this.name = name.trim();
    const ready = !this.welcome.door.name_field || this.name !== "";
    if (this.join.tagName === "BUTTON") this.join.disabled = !ready;
    else this.join.setAttribute("aria-disabled", !ready);
  }

  press() {
    if (this.welcome.door.name_field && this.name === "") return;
    this.knock(this.name);
  }

  /** Lays a dialog over the page, and returns when it has been answered. */
  modal(kind) {
    return new Promise((answered) => {
      const close = (then = () => {}) => async () => {
        box.remove();
        await then();
        answered();
      };
      const box = generation.dialog(this.modalContent(kind, close));
      document.body.append(box);
    });
  }

  modalContent(kind, close) {
    const button = (text, then, options = {}) => generation.textButton(say(text), close(then), options);
    const primary = { kind: "primary", action: "ok" };
    const contents = {
      devices: () => ({
        title: say("devices_question"),
        body: say("devices_hint"),
        buttons: [
          generation.textButton(say("use_devices"), close(() => this.ask()), { ...primary, named: say("use_devices") }),
          button("without_devices", () => this.without()),
        ],
      }),
      refused: () => ({
        title: say("devices_refused"),
        body: say("devices_refused_hint"),
        buttons: [button("dismiss", undefined, { action: "close" })],
      }),
      got_it: () => ({ title: say("news_title"), body: say("news_body"), buttons: [button("got_it", undefined, primary)] }),
      sign_in: () => ({
        title: say("sign_in_title"),
        body: say("sign_in_body"),
        buttons: [
          button("close", undefined, { action: "close" }),
          button("sign_in", () => location.assign(config.signIn), { kind: "primary" }),
        ],
      }),
    };
    return contents[kind]();
  }

  without() {
    this.devices.goWithout();
  }
}
