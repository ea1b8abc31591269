// Keyframes, and the animation through them.

import * as server from "./server.js";
import { fields, filename, title } from "./recipe.js";
import { paint } from "./wall.js";

const MOST = 64;
const TYPES = { gif: "image/gif", webp: "image/webp" };
const LARGE = 320; // pixels that an animation should have, about

export class Morph {
  /** `open(state)` is called with a keyframe to look at, `complain(error)` when something fails. */
  constructor({ open, complain }) {
    Object.assign(this, { open, complain, keyframes: [], url: null });
    for (const id of ["frames", "fps", "method", "easing", "loop", "play", "gif", "webp", "movie", "screen"]) {
      this[id] = document.getElementById(id);
    }
    this.list = document.getElementById("keyframes");
    this.none = document.getElementById("no-keyframes");
    this.play.addEventListener("click", () => this.make("webp", (blob) => this.run(blob)));
    for (const form of Object.keys(TYPES)) this[form].addEventListener("click", () => this.make(form, (blob) => save(blob, `${this.name()}.${form}`)));
  }

  offer(model) {
    this.model = model;
    this.keyframes = [];
    this.draw();
  }

  add(state, canvas) {
    if (this.keyframes.length === MOST) return;
    const copy = document.createElement("canvas"); // the stage goes on
    paint(copy, canvas);
    this.keyframes.push({ state, canvas: copy });
    this.draw();
  }

  remove(place) {
    this.keyframes.splice(place, 1);
    this.draw();
    (this.list.children[Math.min(place, this.keyframes.length - 1)]?.querySelector(".off") ?? document.getElementById("keep")).focus();
  }

  draw() {
    document.getElementById("kept").textContent = this.keyframes.length || "";
    this.none.hidden = this.keyframes.length > 1;
    for (const button of [this.play, this.gif, this.webp]) button.disabled = this.keyframes.length < 2;
    this.list.replaceChildren(...this.keyframes.map((keyframe, place) => this.item(keyframe, place)));
  }

  item({ state, canvas }, place) {
    const item = document.createElement("li");
    const name = `${title(state, this.model)}, ${state.latent ? "a latent" : `seed ${state.seed}`}`;
    const open = document.createElement("button");
    open.className = "frame";
    open.setAttribute("aria-label", `Keyframe ${place + 1}: ${name}`);
    open.append(canvas);
    open.addEventListener("click", () => this.open(state));
    const off = document.createElement("button");
    off.className = "off";
    off.setAttribute("aria-label", `Take keyframe ${place + 1} away`);
    off.textContent = "×";
    off.addEventListener("click", () => this.remove(place));
    item.append(open, off);
    return item;
  }

  name() {
    const states = this.keyframes.map(({ state }) => state);
    return `${filename(states[0])}-to-${filename(states.at(-1))}`;
  }

  request() {
    const keyframes = this.keyframes.map(({ state }) => {
      const { model, ...rest } = fields(state, this.model);
      return rest;
    });
    return {
      model: this.model.id,
      keyframes,
      frames: Number(this.frames.value),
      fps: Number(this.fps.value),
      method: this.method.value,
      easing: this.easing.value,
      loop: this.loop.checked,
      scale: Math.max(1, Math.min(16, Math.round(LARGE / this.model.size))),
    };
  }

  async make(form, use) {
    if (this.screen.getAttribute("aria-busy")) return; // one at a time
    this.screen.setAttribute("aria-busy", "true");
    try {
      use(await server.morph(this.request(), TYPES[form]));
      this.complain(null);
    } catch (error) {
      this.complain(error);
    }
    this.screen.removeAttribute("aria-busy");
  }

  run(blob) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(blob);
    this.movie.src = this.url;
    this.movie.alt = `A morph through ${this.keyframes.length} keyframes`;
    this.movie.hidden = false;
  }
}

/** Lets the browser put a blob into a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
