// The first generation of the page: real buttons with long names, panels on the right, a textarea.
// Every element here is found by role and name; the classes that Meet's own page had at that
// time are kept, because other people's bots look for some of them, and are needed by nothing.

import { el, name, say } from "./dom.js";

/** Whether a camera that is switched off is let go. */
export const stopsCamera = false;
/** Whether buttons name their keys. */
export const shortcuts = true;

function symbol(icon) {
  return el("i", { class: "google-symbols", "aria-hidden": "true" }, icon);
}

/** A round button of the bar: its label and icon change with what it would do. */
export function control(kind, press) {
  const button = el("button", { type: "button", class: `VYBDae round for-${kind}`, onclick: press });
  return {
    root: el("div", { class: "control" }, button),
    show({ label, icon, pressed = null, muted = null, disabled = false, badge = null }) {
      name(button, label);
      button.title = label;
      button.disabled = disabled;
      if (pressed !== null) button.setAttribute("aria-pressed", pressed);
      if (muted !== null) button.setAttribute("data-is-muted", muted);
      button.replaceChildren(symbol(icon));
      if (badge !== null) button.append(el("span", { class: "badge", "aria-hidden": "true" }, `${badge}`));
    },
  };
}

export function textButton(label, press, { named = null, kind = "plain", action = null } = {}) {
  const span = el("span", { class: "UywwFc-vQzf8d", jsname: "V67aGc" }, label);
  const attributes = { type: "button", class: `UywwFc-LgbsSe ${kind}`, "aria-label": named, onclick: press };
  return el("button", { ...attributes, "data-mdc-dialog-action": action }, span);
}

export function nameField(typed) {
  const input = el("input", {
    type: "text",
    class: "qdOxv-fmcmS-wGMbrd",
    jsname: "YPqjbf",
    "aria-label": say("your_name"),
    placeholder: say("your_name"),
    autocomplete: "name",
    maxlength: "60",
    required: true,
    oninput: () => typed(input.value),
  });
  return el("label", { class: "name" }, input);
}

export function dialog({ title, body, buttons }) {
  const heading = el("h2", { id: "dialog-title" }, title);
  const box = el(
    "div",
    { role: "dialog", "aria-modal": "true", "aria-labelledby": "dialog-title", class: "VfPpkd-P5QLlc" },
    heading,
    body === null ? null : el("div", { class: "dialog-body" }, body),
    el("div", { class: "dialog-actions" }, ...buttons),
  );
  return el("div", { class: "scrim" }, box);
}

export function prejoin({ video, controls, title, form, buttons, notes }) {
  return el(
    "main",
    { class: "prejoin one" },
    el(
      "div",
      { role: "region", "aria-label": say("preview"), class: "preview" },
      video,
      el("div", { class: "bar" }, ...controls),
    ),
    el("div", { class: "form" }, el("h1", {}, title), form, notes, ...buttons),
  );
}

/** Waiting looks much like the call, and is not: the same buttons, our own picture, no chat. */
export function lobby({ video, myName, title, body, controls, home }) {
  return el(
    "main",
    { class: "call lobby one" },
    el("div", { class: "stage" }, el("div", { class: "tile self" }, video, el("span", { class: "notranslate" }, myName))),
    el("div", { class: "waiting", "aria-live": "polite" }, el("h1", {}, title), body && el("div", {}, body), home),
    el("div", { role: "region", "aria-label": say("call_controls"), class: "bar" }, ...controls),
  );
}

export function call({ tiles, captions, bar, side, panel, banners, toasts, notices }) {
  return el(
    "div",
    { class: "call one" },
    el("main", { class: "stage" }, notices, banners, tiles, captions),
    panel,
    el(
      "div",
      { class: "bottom" },
      el("div", { role: "region", "aria-label": say("call_controls"), class: "bar" }, ...bar),
      el("nav", { class: "side" }, ...side),
    ),
    toasts,
  );
}

export function tile(person, mine) {
  const video = el("video", { autoplay: true, playsinline: true, muted: true });
  video.muted = true;
  const label = el("span", { class: "notranslate" });
  const mark = el("div", { class: "speaking-mark", "aria-hidden": "true" });
  const root = el(
    "div",
    {
      class: "tile oZRSLe",
      "data-participant-id": person.id,
      "data-requested-participant-id": person.id,
      "data-initial-participant-id": person.id,
    },
    video,
    mark,
    el("div", { class: "nameplate" }, symbol("mic"), label),
  );
  return {
    root,
    video,
    update(now) {
      label.textContent = mine ? say("you") : now.name;
      if (mine) label.setAttribute("data-self-name", say("you"));
      else label.setAttribute("data-participant-name", now.name);
      root.setAttribute("data-is-speaking", now.speaking);
      root.setAttribute("data-is-muted", now.muted);
      root.classList.toggle("kssMZb", now.speaking);
      root.querySelector(".google-symbols").textContent = now.muted ? "mic_off" : "mic";
      root.classList.toggle("no-camera", !now.camera);
      root.classList.toggle("hand", now.hand);
    },
  };
}

export function tiles() {
  return el("div", { class: "tiles" });
}

export function panel() {
  const body = el("div", { class: "panel-body" });
  const root = el("aside", { role: "complementary", "aria-label": say("side_panel"), class: "panel right", hidden: true });
  return {
    root,
    open(title, close, content) {
      const heading = el("h2", {}, title);
      const shut = control("close", close);
      shut.show({ label: say("close"), icon: "close" });
      body.replaceChildren(content);
      root.replaceChildren(heading, shut.root, body);
      root.hidden = false;
    },
    close() {
      root.hidden = true;
      root.replaceChildren();
    },
  };
}

export function people() {
  const list = el("div", { role: "list", "aria-label": say("participants") });
  const search = el("input", { type: "text", "aria-label": say("search_people"), placeholder: say("search_people") });
  return { root: el("div", {}, search, el("h3", {}, say("in_meeting")), list), list };
}

export function row(person, mine) {
  const label = el("span", { class: "zWGUib notranslate" });
  const marks = el("div", { class: "marks" });
  const root = el(
    "div",
    { role: "listitem", class: "cxdMu KV1GEc", "data-participant-id": person.id },
    el("div", {}, label, mine ? el("span", { class: "NnTWjc" }, ` ${say("you_brackets")}`) : null),
    marks,
  );
  return {
    root,
    update(now) {
      name(root, now.name);
      label.textContent = now.name;
      const parts = [];
      if (now.host) parts.push(el("div", { class: "d93U2d" }, say("host")));
      if (now.hand) parts.push(el("div", { role: "img", "aria-label": say("hand_is_up") }, symbol("back_hand")));
      const mute = now.muted ? say("cant_unmute") : say("mute_them", { name: now.name });
      parts.push(el("button", { type: "button", "aria-label": mute, disabled: true }, symbol(now.muted ? "mic_off" : "mic")));
      marks.replaceChildren(...parts);
    },
  };
}

export function messages() {
  const list = el("div", { role: "list", "aria-label": say("messages"), "aria-live": "polite", class: "z38b6" });
  return { root: list, list };
}

export function message(line, mine) {
  const time = new Date(line.at).toLocaleTimeString(document.documentElement.lang, { hour: "numeric", minute: "2-digit" });
  return el(
    "div",
    { role: "listitem", class: "Ss4fHf" },
    el("div", { class: "QTyiie" }, el("div", { class: "poVWob", "data-sender-name": line.name }, mine ? say("you") : line.name), el("div", { class: "MuzmKe" }, time)),
    el("div", { class: "beTDc", "data-message-id": `${line.number}` }, el("div", { jsname: "dTKtvb", "data-message-text": line.text }, line.text)),
  );
}

export function sendButton(press) {
  return el("button", { type: "button", class: "send", "aria-label": say("send_message"), disabled: true, onclick: press }, symbol("send"));
}

export function captionRegion() {
  const root = el("div", { role: "region", "aria-label": say("captions"), tabindex: "0", class: "vNKgIf UDinHf captions" });
  const jump = el("button", { type: "button", "aria-label": say("jump"), class: "jump", hidden: true }, symbol("arrow_downward"));
  const end = el("div", {});
  root.append(jump, end);
  return { root, add: (block) => root.insertBefore(block, jump) };
}

export function captionBlock(who) {
  const picture = el("img", { alt: "", class: "Z6byG", width: "32", height: "32" });
  const speaker = el("span", { class: "NWpY1d" }, who);
  const text = el("div", { class: "ygicle VbkSUe" });
  const root = el("div", { class: "nMcdL bj4p3b" }, el("div", { class: "adE6rb" }, picture, el("div", { class: "KcIKyf jxFHg" }, speaker)), text);
  return { root, set: (words) => { text.textContent = words; } };
}

/** Consecutive lines of one speaker grow in one block. */
export const grouped = true;

export function peopleLabel() {
  return say("people");
}

export function ending({ title, body, buttons }) {
  return el("main", { class: "ending one" }, el("h1", { class: "roSPhc" }, title), body && el("div", {}, body), el("div", {}, ...buttons));
}
