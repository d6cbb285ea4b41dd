// Who is in the call: a tile for each, and the panel that lists them.

import { arrange, say } from "./dom.js";
import { generation } from "./generation.js";

export class People {
  constructor(call) {
    this.call = call;
    this.tiles = generation.tiles();
    this.shown = new Map();
    this.rows = new Map();
    this.button = generation.control("people", () => this.toggle());
    this.open = false;
    this.present = [];
    this.showButton();
  }

  show(people) {
    this.present = people;
    const before = this.shown;
    this.shown = new Map();
    for (const person of people) {
      const made = before.get(person.id) ?? generation.tile(person, person.id === this.call.me);
      made.update(person);
      this.shown.set(person.id, made);
    }
    arrange(this.tiles, [...this.shown.values()].map((made) => made.root));
    this.showButton();
    if (this.open) this.showRows();
  }

  showButton() {
    const label = generation.peopleLabel(this.present.length);
    this.button.show({ label, icon: "people", pressed: this.open, badge: this.present.length });
  }

  toggle() {
    if (this.open) this.close();
    else {
      this.call.chat.close();
      this.open = true;
      this.list = generation.people();
      this.rows = new Map();
      this.call.panel.open(say("people"), () => this.close(), this.list.root);
      this.showRows();
      this.showButton();
    }
  }

  close() {
    if (!this.open) return;
    this.open = false;
    this.call.panel.close();
    this.showButton();
  }

  showRows() {
    const before = this.rows;
    this.rows = new Map();
    for (const person of this.present) {
      const made = before.get(person.id) ?? generation.row(person, person.id === this.call.me);
      made.update(person);
      this.rows.set(person.id, made);
    }
    arrange(this.list.list, [...this.rows.values()].map((made) => made.root));
  }

  /** The video element of somebody's tile. */
  video(id) {
    return this.shown.get(id)?.video ?? null;
  }
}
