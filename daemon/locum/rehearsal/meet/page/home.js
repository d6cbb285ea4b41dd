// The home screen, to which every meeting returns.

import { config, el, say, show } from "./dom.js";
import { generation } from "./generation.js";

export function start() {
  const input = el("input", { type: "text", "aria-label": say("enter_code"), placeholder: say("enter_code") });
  const go = () => {
    const code = input.value.trim().split("/").pop();
    if (code !== "") location.assign(`/${encodeURIComponent(code)}`);
  };
  const who = config.account === null ? generation.textButton(say("sign_in"), () => location.assign("/signin")) : el("div", {}, config.account.email);
  show(el("main", { class: "home" }, el("h1", {}, say("home_title")), input, generation.textButton(say("join"), go), who));
}
