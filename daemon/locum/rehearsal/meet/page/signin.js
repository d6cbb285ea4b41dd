// Signing in, in two steps as at Google: the address, then the password. Plain forms, no script needed
// to send them; the script only lays them out.

import { config, el, say, show } from "./dom.js";

export function start() {
  const field =
    config.step === "password"
      ? el("input", { type: "password", name: "Passwd", "aria-label": say("password"), autocomplete: "current-password", required: true, autofocus: true })
      : el("input", { type: "email", name: "identifier", id: "identifierId", "aria-label": say("email"), autocomplete: "username", required: true, autofocus: true, value: config.email });
  const hidden = [el("input", { type: "hidden", name: "continue", value: config.continue })];
  if (config.step === "password") hidden.push(el("input", { type: "hidden", name: "identifier", value: config.email }));
  const problem = config.problem === "" ? null : el("div", { role: "alert" }, say(config.problem));
  const next = el("button", { type: "submit" }, el("span", {}, say("next")));
  const form = el("form", { method: "post", action: "/signin" }, ...hidden, field, problem, next);
  const who = config.step === "password" ? el("div", {}, config.email) : null;
  show(el("main", { class: "signin" }, el("h1", {}, say("sign_in_google")), who, form));
}
