// Which page this is, and nothing else.

import { config } from "./dom.js";

const pages = {
  meet: () => import("./meet.js").then((page) => page.start()),
  home: () => import("./home.js").then((page) => page.start()),
  signin: () => import("./signin.js").then((page) => page.start()),
};
await pages[config.page]();
