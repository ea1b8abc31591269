// Where the time of the last frames went, stacked, and how many there are a second.

const FRAMES = 120;
const [WIDTH, HEIGHT] = [240, 64];
const PARTS = ["queue", "engine", "encode"];

export class Timing {
  constructor() {
    this.frames = [];
    this.arrivals = [];
    this.due = false;
    setInterval(() => this.count(), 500);
  }

  add(timing, delayMs) {
    this.frames = [...this.frames, { ...timing, delay: delayMs }].slice(-FRAMES);
    this.arrivals.push(performance.now());
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.due = false;
    const sums = this.frames.map((frame) => PARTS.reduce((sum, part) => sum + frame[part], 0));
    const ordered = [...sums].sort((a, b) => a - b);
    const top = 1.25 * Math.max(0.5, ordered[Math.floor(0.95 * (ordered.length - 1))]); // an outlier is cut off
    let below = this.frames.map(() => 0);
    for (const part of PARTS) {
      const above = this.frames.map((frame, place) => below[place] + frame[part]);
      document.getElementById(`plot-${part}`).setAttribute("d", band(below, above, top));
      below = above;
    }
    const last = this.frames.slice(-20);
    for (const name of [...PARTS, "delay"]) {
      const values = last.map((frame) => frame[name]).sort((a, b) => a - b);
      document.getElementById(`t-${name}`).textContent = `${values[values.length >> 1].toFixed(name === "delay" ? 1 : 2)} ms`;
    }
  }

  /** Frames of the last second; at rest, a dash. */
  count() {
    const since = performance.now() - 1000;
    this.arrivals = this.arrivals.filter((when) => when > since);
    document.getElementById("t-rate").textContent = this.arrivals.length > 1 ? String(this.arrivals.length) : "–";
  }
}

/** The area between two lines, newest at the right. */
function band(below, above, top) {
  const x = (place) => (WIDTH - (below.length - 1 - place) * (WIDTH / (FRAMES - 1))).toFixed(1);
  const y = (value) => (HEIGHT * (1 - Math.min(1, value / top))).toFixed(1);
  const upper = above.map((value, place) => `${x(place)} ${y(value)}`);
  const lower = below.map((value, place) => `${x(place)} ${y(value)}`).reverse();
  return `M${upper.join("L")}L${lower.join("L")}Z`;
}
