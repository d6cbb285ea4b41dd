// The second generation of the page: the same meanings, built otherwise. Buttons that are no
// buttons, short names, panels on the left, lists that are lists, no participant's id on a tile,
// other icons, an editable instead of a form field, a camera that is let go while it is off.

import { el, name, say } from "./dom.js";

/** Whether a camera that is switched off is let go. */
export const stopsCamera = true;
/** Whether buttons name their keys. */
export const shortcuts = false;

function glyph(icon) {
  return el("span", { class: "mdi", "data-icon": icon.replaceAll("_", "-"), "aria-hidden": "true" });
}

/** Something that acts as a button, for the keyboard too, without being one. */
function pressable(attributes, press, ...children) {
  const made = el("div", { role: "button", tabindex: "0", ...attributes }, ...children);
  const off = () => made.getAttribute("aria-disabled") === "true";
  made.addEventListener("click", () => off() || press());
  made.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== " ") || off()) return;
    event.preventDefault();
    press();
  });
  return made;
}

export function control(kind, press) {
  const root = pressable({ class: `ctl ctl-${kind}` }, press);
  return {
    root,
    show({ label, icon, pressed = null, muted = null, disabled = false, badge = null }) {
      name(root, label);
      root.setAttribute("aria-disabled", disabled);
      if (pressed !== null) root.setAttribute("aria-pressed", pressed);
      if (muted !== null) root.setAttribute("data-muted-state", muted ? "muted" : "live");
      const children = [glyph(icon)];
      if (badge !== null) children.push(el("sup", { "aria-hidden": "true" }, `${badge}`));
      root.replaceChildren(...children);
    },
  };
}

export function textButton(label, press, { named = null, kind = "plain", action = null } = {}) {
  return pressable({ class: `txt ${kind}`, "aria-label": named, "data-dialog-action": action }, press, el("b", {}, label));
}

export function nameField(typed) {
  const input = el("input", { id: "guest-name", type: "text", autocomplete: "name", maxlength: "60", required: true });
  input.addEventListener("input", () => typed(input.value));
  return el("div", { class: "field" }, el("label", { for: "guest-name" }, say("your_name")), input);
}

let dialogs = 0;

export function dialog({ title, body, buttons }) {
  const id = `d${(dialogs += 1)}`;
  return el(
    "div",
    { class: "scrim" },
    el(
      "section",
      { role: "dialog", "aria-modal": "true", "aria-labelledby": `${id}-t`, "aria-describedby": body === null ? null : `${id}-b` },
      el("div", { role: "heading", "aria-level": "2", id: `${id}-t` }, title),
      body === null ? null : el("p", { id: `${id}-b` }, body),
      el("footer", {}, ...buttons),
    ),
  );
}

export function prejoin({ video, controls, title, form, buttons, notes }) {
  return el(
    "div",
    { class: "prejoin two" },
    el("section", { class: "form" }, el("div", { role: "heading", "aria-level": "1" }, title), notes, form, ...buttons),
    el("section", { "aria-label": say("preview"), class: "preview" }, video, el("div", { class: "bar" }, ...controls)),
  );
}

/** Our own picture stands in a list of tiles while we wait, as in the call. */
export function lobby({ video, myName, title, body, controls, home }) {
  return el(
    "div",
    { class: "call lobby two" },
    el("div", { class: "bottom" }, el("section", { "aria-label": say("call_controls"), class: "bar" }, ...controls)),
    el("div", { class: "waiting" }, el("div", { role: "heading", "aria-level": "1" }, title), body && el("p", {}, body), home),
    el("ul", { class: "tiles" }, el("li", { class: "tile", "aria-label": myName, "data-tile": "self" }, video)),
  );
}

export function call({ tiles, captions, bar, side, panel, banners, toasts, notices }) {
  return el(
    "div",
    { class: "call two" },
    panel,
    el("div", { role: "main", class: "stage" }, banners, notices, tiles, captions),
    el("footer", { class: "bottom" }, el("div", { class: "side" }, ...side), el("section", { "aria-label": say("call_controls"), class: "bar" }, ...bar)),
    toasts,
  );
}

export function tiles() {
  return el("ul", { class: "tiles" });
}

export function tile(person, mine) {
  const video = el("video", { autoplay: true, playsinline: true });
  video.muted = true;
  const label = el("div", { class: "who" });
  const root = el("li", { class: "tile", "data-tile": mine ? "self" : "other", "data-stream-owner": person.id }, video, label);
  return {
    root,
    video,
    update(now) {
      name(root, now.name);
      label.textContent = mine ? say("you") : now.name;
      root.setAttribute("data-audio-level", now.speaking ? "1" : "0");
      root.setAttribute("data-mic", now.muted ? "off" : "on");
      root.classList.toggle("no-camera", !now.camera);
      root.classList.toggle("hand", now.hand);
    },
  };
}

export function panel() {
  const root = el("section", { role: "complementary", "aria-label": say("side_panel"), class: "panel left", hidden: true });
  return {
    root,
    open(title, close, content) {
      const shut = control("close", close);
      shut.show({ label: say("close"), icon: "close" });
      const heading = el("div", { role: "heading", "aria-level": "2" }, title);
      root.replaceChildren(el("header", {}, shut.root, heading), content);
      root.hidden = false;
    },
    close() {
      root.hidden = true;
      root.replaceChildren();
    },
  };
}

export function people() {
  const list = el("ul", { "aria-label": say("contributors") });
  return { root: el("div", {}, el("div", { role: "heading", "aria-level": "3" }, say("in_meeting")), list), list };
}

export function row(person, mine) {
  const root = el("li", { "data-participant-id": person.id });
  return {
    root,
    update(now) {
      name(root, now.name);
      const parts = [el("span", { class: "who" }, now.name)];
      if (mine) parts.push(el("span", {}, say("you_brackets")));
      if (now.host) parts.push(el("small", {}, say("host")));
      if (now.hand) parts.push(el("span", { role: "img", "aria-label": say("hand_is_up") }, glyph("front_hand")));
      const mute = now.muted ? say("cant_unmute") : say("mute_them", { name: now.name });
      parts.push(el("div", { role: "button", "aria-label": mute, "aria-disabled": "true" }, glyph(now.muted ? "mic_off" : "mic")));
      root.replaceChildren(...parts);
    },
  };
}

export function messages() {
  const list = el("ol", { "aria-label": say("messages"), class: "log" });
  return { root: el("div", { "aria-live": "polite" }, list), list };
}

export function message(line, mine) {
  const at = el("time", { datetime: line.at }, new Date(line.at).toLocaleTimeString(document.documentElement.lang, { timeStyle: "short" }));
  return el("li", {}, el("header", {}, el("b", {}, mine ? say("you") : line.name), " ", at), el("p", {}, line.text));
}

export function sendButton(press) {
  return pressable({ class: "send", "aria-label": say("send_message"), "aria-disabled": "true" }, press, glyph("send"));
}

export function captionRegion() {
  const root = el("section", { "aria-label": say("captions"), class: "captions" });
  return { root, add: (block) => root.append(block) };
}

export function captionBlock(who) {
  const text = el("span", { class: "words" });
  const speaker = el("span", { class: "who" }, who);
  const root = el("div", { class: "line" }, el("div", {}, speaker), el("div", {}, text));
  return { root, set: (words) => { text.textContent = words; } };
}

/** Every line is a block of its own. */
export const grouped = false;

export function peopleLabel(count) {
  return say("people_count", { count });
}

export function ending({ title, body, buttons }) {
  return el("section", { class: "ending two" }, el("div", { role: "heading", "aria-level": "1" }, title), body && el("p", {}, body), el("footer", {}, ...buttons));
}
