// Captions: lines that are revised in place until they are final, by speaker.

import { el, say } from "./dom.js";
import { generation } from "./generation.js";

const KEPT_BLOCKS = 6;
const LONGEST_BLOCK = 350;

export class Captions {
  constructor(call) {
    this.call = call;
    this.on = false;
    this.place = el("div", { class: "captions-place" });
    this.button = generation.control("captions", () => this.switch());
    this.showButton();
  }

  switch() {
    this.on = !this.on;
    this.blocks = [];
    this.region = this.on ? generation.captionRegion() : null;
    this.place.replaceChildren(...(this.on ? [this.region.root] : []));
    this.call.wire.send({ type: "captions", on: this.on });
    this.showButton();
  }

  showButton() {
    const label = say(this.on ? "captions_off" : "captions_on");
    this.button.show({ label, icon: this.on ? "closed_caption" : "closed_caption_off", pressed: this.on });
  }

  heard({ line, id, name, text }) {
    if (!this.on) return;
    const block = this.blocks.find((each) => each.lines.has(line)) ?? this.blockFor(line, id, name);
    block.lines.set(line, text);
    block.set([...block.lines.values()].join(" "));
  }

  /** One speaker's next line goes on in the last block, where the generation does that. */
  blockFor(line, id, name) {
    const last = this.blocks.at(-1);
    if (generation.grouped && last?.id === id) {
      const length = [...last.lines.values()].join(" ").length;
      if (length < LONGEST_BLOCK) return last;
    }
    const shown = id === this.call.me ? say("you") : name;
    const made = { ...generation.captionBlock(shown), id, lines: new Map() };
    this.blocks.push(made);
    this.region.add(made.root);
    while (this.blocks.length > KEPT_BLOCKS) this.blocks.shift().root.remove();
    return made;
  }
}
