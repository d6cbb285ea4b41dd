// The chat: a panel with what was written since we came, and where one writes.

import { el, name, say } from "./dom.js";
import { generation } from "./generation.js";

const LONGEST = 500;
const KEPT = 500;

export class Chat {
  constructor(call, composer) {
    this.call = call;
    this.composer = composer;
    this.open = false;
    this.unread = 0;
    this.messages = generation.messages();
    this.button = generation.control("chat", () => this.toggle());
    this.showButton();
  }

  heard(line) {
    const mine = line.id === this.call.me;
    this.messages.list.append(generation.message(line, mine));
    while (this.messages.list.children.length > KEPT) this.messages.list.firstChild.remove();
    if (!this.open && !mine) {
      this.unread += 1;
      this.call.toast(`${line.name}: ${line.text}`);
      this.showButton();
    }
  }

  showButton() {
    const label = say(this.unread > 0 ? "chat_new" : "chat");
    this.button.show({ label, icon: "chat", pressed: this.open, badge: this.unread > 0 ? this.unread : null });
  }

  toggle() {
    if (this.open) {
      this.close();
      return;
    }
    this.call.people.close();
    this.open = true;
    this.unread = 0;
    const hint = el("div", { class: "hint" }, say("messages_hint"));
    const writing = this.composer === "off" ? el("div", {}, say("chat_closed")) : this.writer();
    this.call.panel.open(say("messages"), () => this.close(), el("div", { class: "chat" }, hint, this.messages.root, writing));
    this.showButton();
  }

  close() {
    if (!this.open) return;
    this.open = false;
    this.call.panel.close();
    this.showButton();
  }

  writer() {
    const field = this.composer === "textarea" ? textarea() : editable(this.composer);
    const send = generation.sendButton(() => this.send(field, button));
    const button = send;
    field.input.addEventListener("input", () => enable(button, field.read().trim() !== ""));
    field.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send(field, button);
    });
    return el("div", { class: "composer" }, field.root, send);
  }

  send(field, button) {
    const text = field.read().trim().slice(0, LONGEST);
    if (text === "") return;
    this.call.wire.send({ type: "chat", text });
    field.clear();
    enable(button, false);
  }
}

function enable(button, on) {
  if (button.tagName === "BUTTON") button.disabled = !on;
  else button.setAttribute("aria-disabled", !on);
}

function textarea() {
  const label = say("send_message");
  const input = el("textarea", { "aria-label": label, placeholder: label, maxlength: `${LONGEST}`, rows: "1", jsname: "YPqjbf" });
  return { root: input, input, read: () => input.value, clear: () => { input.value = ""; } };
}

/** Since 2026: no form field any more. The name is on the editable, or on what surrounds it too. */
function editable(kind) {
  const label = say("send_message");
  const input = el("div", { contenteditable: "true", role: "textbox", "aria-multiline": "true", "aria-label": label, class: "editable" });
  const root = el("div", { class: "editor", "data-placeholder": label }, input);
  if (kind === "nested") name(root, label);
  return { root, input, read: () => input.innerText, clear: () => input.replaceChildren() };
}
