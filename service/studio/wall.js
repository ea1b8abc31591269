// The wall: classes down, seeds across; a click puts one on the stage.

import * as server from "./server.js";
import { MAX_SEED } from "./state.js";

const MOST_CLASSES = 12;
const CELL = 84; // pixels of a column, about

export class Wall {
  /** `open(slug, seed)` is called with the image that was chosen. */
  constructor(open) {
    this.open = open;
    this.grid = document.getElementById("wall");
    this.note = document.getElementById("wall-note");
    this.first = 0;
    document.getElementById("wall-back").addEventListener("click", () => this.turn(-this.columns));
    document.getElementById("wall-on").addEventListener("click", () => this.turn(this.columns));
    this.grid.addEventListener("keydown", (event) => this.walk(event));
    this.grid.addEventListener("click", (event) => this.choose(event.target.closest("button")));
    new IntersectionObserver(([entry]) => this.appear(entry.isIntersecting), { rootMargin: "200px" }).observe(this.grid);
    new ResizeObserver(() => this.fit()).observe(this.grid);
  }

  offer(model) {
    this.model = model;
    this.made = "";
    this.hang();
  }

  /** The truncation that the wall's images share with the stage's. */
  show(state) {
    this.truncation = state.truncation;
    this.chosen = `${Object.keys(state.mix).join()}/${state.seed}`;
    this.mark();
    this.hang();
  }

  turn(step) {
    this.first = Math.min(Math.max(0, this.first + step), MAX_SEED - this.columns + 1);
    this.hang();
  }

  appear(is) {
    this.isSeen = is;
    this.hang();
  }

  fit() {
    const columns = Math.min(24, Math.max(3, Math.floor((this.grid.clientWidth - (innerWidth < 700 ? 0 : 120)) / CELL)));
    if (columns === this.columns) return;
    this.columns = columns;
    this.hang();
  }

  /** Makes the images, when they are looked at and others than before. */
  hang() {
    if (!this.isSeen || !this.model || !this.columns) return;
    const wanted = JSON.stringify([this.model.version, this.first, this.columns, this.truncation]);
    if (wanted === this.made) return;
    this.made = wanted;
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.fetch().catch((error) => this.fail(error)), 120);
  }

  /** Says what went wrong; the next change tries again. */
  fail(error) {
    this.made = "";
    this.note.textContent = `There are no images: ${error.message}`;
  }

  async fetch() {
    this.running?.abort();
    const running = (this.running = new AbortController());
    const { model, columns, first } = this;
    const slugs = model.slugs.slice(0, MOST_CLASSES);
    const more = model.slugs.length > slugs.length ? `, the first ${slugs.length} of ${model.slugs.length} classes` : "";
    this.note.textContent = `Seeds ${first} to ${first + columns - 1}${more}. Choose one to have it on the stage.`;
    this.grid.style.setProperty("--columns", columns);
    const rows = slugs.map((slug, place) => this.row(slug, model.names[place], first, columns));
    this.grid.replaceChildren(...rows);
    this.grid.querySelector("button").tabIndex = 0;
    this.mark();
    for (const [place, row] of rows.entries()) {
      const recipe = { model: model.id, label: model.names[place], seed: first, n: columns };
      if (this.truncation !== null) recipe.truncation = this.truncation;
      try {
        const pictures = await server.images(recipe, running.signal);
        row.querySelectorAll("canvas").forEach((canvas, at) => paint(canvas, pictures[at]));
      } catch (error) {
        if (error.name === "AbortError") return;
        throw error;
      }
    }
  }

  row(slug, name, first, columns) {
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    const head = document.createElement("span");
    head.setAttribute("role", "rowheader");
    head.textContent = name;
    row.append(head);
    for (let seed = first; seed < first + columns; seed += 1) {
      const cell = document.createElement("span");
      cell.setAttribute("role", "gridcell");
      const button = document.createElement("button");
      button.tabIndex = -1;
      Object.assign(button.dataset, { slug, seed });
      button.setAttribute("aria-label", `${name}, seed ${seed}`);
      button.append(Object.assign(document.createElement("canvas"), { width: 1, height: 1 }));
      cell.append(button);
      row.append(cell);
    }
    return row;
  }

  mark() {
    for (const button of this.grid.querySelectorAll("button")) {
      button.setAttribute("aria-current", String(`${button.dataset.slug}/${button.dataset.seed}` === this.chosen));
    }
  }

  choose(button) {
    if (button) this.open(button.dataset.slug, Number(button.dataset.seed));
  }

  /** Arrow keys walk the wall; Tab leaves it. */
  walk(event) {
    const buttons = [...this.grid.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    const next = buttons[at + (steps[event.key] ?? 0)];
    if (!(event.key in steps) || !next) return;
    event.preventDefault();
    buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

/** Pixels onto a canvas of just their size. */
export function paint(canvas, picture) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d");
  if (picture instanceof ImageData) context.putImageData(picture, 0, 0);
  else context.drawImage(picture, 0, 0);
}
