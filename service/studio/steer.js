// The pad, a coin whose face is two directions of latent space, and a slider for each direction.

import { makeDial } from "./classes.js";

export const REACH = 3; // of a direction, each way: of random latents, 3 in 1,000 go further
const FACE = 94; // the pad's radius, in its own units
const TRAIL = 48; // points
const MOST = 8; // sliders

export class Steer {
  /** `change(directions)` is called with index -> amount. */
  constructor(change) {
    this.change = change;
    for (const id of ["pad", "handle", "trail", "across", "up", "drift", "centre", "directions", "steering"]) {
      this[id] = document.getElementById(id);
    }
    this.noSteering = document.getElementById("no-steering");
    this.points = [];
    this.pad.addEventListener("pointerdown", (event) => this.press(event));
    this.pad.addEventListener("pointermove", (event) => this.pad.hasPointerCapture(event.pointerId) && this.follow(event));
    this.pad.addEventListener("keydown", (event) => this.type(event));
    this.pad.addEventListener("dblclick", () => this.move(0, 0));
    this.centre.addEventListener("click", () => this.settle({}));
    this.drift.addEventListener("click", () => this.setDrifting(!this.drifting));
    for (const axis of [this.across, this.up]) axis.addEventListener("change", () => this.turnTo());
  }

  /** The pad over the directions that are chosen; never the same one twice. */
  turnTo() {
    for (const [axis, other] of [[this.across, this.up], [this.up, this.across]]) {
      for (const option of axis.options) option.disabled = option.value === other.value;
    }
    this.points = [];
    if (this.amounts) this.show(this.amounts);
  }

  offer(model) {
    this.setDrifting(false);
    const count = Math.min(MOST, model.directions.length);
    this.steering.hidden = count < 2;
    this.noSteering.hidden = count >= 2;
    this.dials = [];
    if (count < 2) return;
    const names = model.directions.slice(0, count).map(({ index, explained }) => [index, explained]);
    for (const [axis, chosen] of [[this.across, 0], [this.up, 1]]) {
      axis.replaceChildren(...names.map(([index]) => new Option(`direction ${index + 1}`, index)));
      axis.value = names[chosen][0];
    }
    this.dials = names.map(([index, explained]) => {
      const range = { min: -REACH, max: REACH, step: 0.05 };
      const dial = makeDial(`Direction ${index + 1}`, range, (amount) => this.settle({ ...this.amounts, [index]: amount }));
      dial.dataset.index = index;
      if (explained) dial.title = `${(100 * explained).toFixed(1)} % of what moves the first layer`;
      return dial;
    });
    this.directions.replaceChildren(...this.dials);
    this.amounts = null; // of another model
    this.turnTo();
  }

  show(amounts) {
    this.amounts = amounts;
    const x = amounts[this.across.value] ?? 0;
    const y = amounts[this.up.value] ?? 0;
    const within = FACE / Math.max(REACH, Math.hypot(x, y)); // the sliders reach beyond the coin
    const [left, top] = [x * within, -y * within];
    this.handle.setAttribute("transform", `translate(${left.toFixed(2)} ${top.toFixed(2)})`);
    this.points = [...this.points, `${left.toFixed(1)},${top.toFixed(1)}`].slice(-TRAIL);
    this.trail.setAttribute("points", this.points.join(" "));
    this.pad.setAttribute("aria-valuenow", x);
    this.pad.setAttribute("aria-valuetext", `${x} across, ${y} up`);
    for (const dial of this.dials ?? []) {
      const amount = amounts[dial.dataset.index] ?? 0;
      dial.querySelector("input").value = amount;
      dial.querySelector("output").textContent = amount.toFixed(2);
    }
  }

  /** Amounts to the hundredth, without zeros. */
  settle(amounts) {
    const rounded = Object.entries(amounts).map(([index, amount]) => [index, Math.round(100 * amount) / 100]);
    this.change(Object.fromEntries(rounded.filter(([, amount]) => amount !== 0)));
  }

  /** Puts the handle where it is wanted, on the coin. */
  move(x, y) {
    const far = Math.hypot(x, y) / REACH;
    const [inX, inY] = far > 1 ? [x / far, y / far] : [x, y];
    this.settle({ ...this.amounts, [this.across.value]: inX, [this.up.value]: inY });
  }

  press(event) {
    this.setDrifting(false);
    this.pad.setPointerCapture(event.pointerId);
    this.points = [];
    this.follow(event);
  }

  follow(event) {
    const box = this.pad.getBoundingClientRect();
    const unit = (220 / box.width / FACE) * REACH;
    this.move((event.clientX - box.left - box.width / 2) * unit, -(event.clientY - box.top - box.height / 2) * unit);
  }

  type(event) {
    const step = event.shiftKey ? 0.5 : 0.1;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.key === "Home") this.move(0, 0);
    else if (event.key in moves) {
      const [dx, dy] = moves[event.key];
      this.move((this.amounts[this.across.value] ?? 0) + dx, (this.amounts[this.up.value] ?? 0) + dy);
    } else return;
    event.preventDefault();
  }

  /** Wanders over the coin until somebody else takes it. */
  setDrifting(on) {
    this.drifting = on;
    this.drift.setAttribute("aria-pressed", String(on));
    cancelAnimationFrame(this.turn);
    if (!on) return;
    const began = performance.now();
    const step = (now) => {
      const t = (now - began) / 1000;
      this.move(REACH * 0.82 * Math.sin(0.61 * t), REACH * 0.82 * Math.sin(0.47 * t) * Math.cos(0.23 * t));
      this.turn = requestAnimationFrame(step);
    };
    this.turn = requestAnimationFrame(step);
  }
}
