// The pages on which a visit ends: refused, left, removed, over.

import { config, say, show } from "./dom.js";
import { generation } from "./generation.js";

const HOME_AFTER_MS = 60000;

function goHome() {
  location.assign("/");
}

function home() {
  return generation.textButton(say("home"), goHome, { kind: "primary" });
}

/** Why one can't come in; Meet's words for it are the page's heading, or stand below it. */
export function showRefusal(why) {
  const headings = { unknown: "unknown", expired: "expired", full: "full", ended: "meeting_over", sign_in: "sign_in_needed" };
  const bodies = { unknown: "unknown_body", denied: "denied", unanswered: "unanswered", blocked: "blocked" };
  const buttons = [home()];
  if (why === "sign_in") {
    buttons.unshift(generation.textButton(say("sign_in"), () => location.assign(config.signIn), { kind: "primary" }));
  }
  const title = say(headings[why] ?? "cant_join");
  show(generation.ending({ title, body: why in bodies ? say(bodies[why]) : null, buttons }));
  setTimeout(goHome, HOME_AFTER_MS);
}

export function showEnd(how) {
  const buttons = [];
  if (how === "left") buttons.push(generation.textButton(say("rejoin"), () => location.reload()));
  buttons.push(home(), generation.textButton(say("feedback"), () => {}, { kind: "text" }));
  show(generation.ending({ title: say(how), body: null, buttons }));
  setTimeout(goHome, HOME_AFTER_MS);
}
