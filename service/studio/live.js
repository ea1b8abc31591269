// The image that follows the hand. Over the stream; by single requests where no stream can be had.
// Either way the newest wins: what was asked for in between is never made up for.

import * as server from "./server.js";

const HEADER = 32; // bytes before the image; docs/stream.md
const WINDOW = 3;
const PATIENCE_MS = [500, 1000, 2000, 5000];

export class Live {
  /** `show({bitmap, timing, delayMs, tag})`, `tell(status)` and `complain(error or null)` are called as it goes. */
  constructor({ show, tell, complain }) {
    Object.assign(this, { show, tell, complain });
    this.seq = 0;
    this.sent = new Map(); // seq -> when, and the tag
    this.shown = -1;
    this.wanted = null; // not sent yet
    this.failures = 0;
    this.socket = null;
    this.asking = false;
  }

  /** Asks for the image of a recipe; `tag` comes back with it. */
  want(steering, tag) {
    if (this.wanted === null) requestAnimationFrame(() => this.go());
    this.wanted = this.latest = { steering, tag };
  }

  async go() {
    if (this.wanted === null) return;
    if (this.failures >= PATIENCE_MS.length) return this.askAlone();
    if (this.socket === null) return this.open();
    if (this.socket.readyState !== WebSocket.OPEN) return; // goes on when it is open
    this.seq += 1;
    this.sent.set(this.seq, { began: performance.now(), tag: this.wanted.tag });
    this.socket.send(JSON.stringify({ seq: this.seq, ...this.wanted.steering }));
    this.wanted = null;
  }

  async open() {
    this.tell("connecting");
    this.socket = { readyState: WebSocket.CONNECTING };
    const key = await server.key();
    const url = new URL("v1/stream", server.base.replace(/^http/, "ws"));
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      socket.send(JSON.stringify(key ? { key, window: WINDOW } : { window: WINDOW }));
      this.seq = 0;
      this.shown = -1;
      this.sent.clear();
      this.tell("live");
      this.go();
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.read(JSON.parse(data)) : this.take(data));
    socket.onclose = (event) => this.closed(event);
  }

  closed() {
    const wasAnswering = this.shown >= 0;
    this.socket = null;
    if (wasAnswering) {
      this.failures = 0;
      this.tell("resting"); // the next movement opens another
      if (this.wanted !== null || this.sent.size) this.again(PATIENCE_MS[0]);
    } else {
      this.failures += 1;
      if (this.failures < PATIENCE_MS.length) this.again(PATIENCE_MS[this.failures]);
      else this.askAlone();
    }
  }

  again(afterMs) {
    setTimeout(() => this.latest && this.want(this.latest.steering, this.latest.tag), afterMs);
  }

  read(told) {
    if (!told.problem) return;
    this.sent.delete(told.seq);
    this.complain(new Error(told.problem.detail));
    if (told.problem.retry_after_s) this.again(1000 * told.problem.retry_after_s);
  }

  async take(buffer) {
    const view = new DataView(buffer);
    const seq = view.getUint32(4, true);
    const { began, tag } = this.sent.get(seq);
    const socket = this.socket;
    for (const old of this.sent.keys()) if (old <= seq) this.sent.delete(old);
    const bitmap = await createImageBitmap(new Blob([buffer.slice(HEADER)]));
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ seen: seq }));
    if (seq <= this.shown || socket !== this.socket) return;
    this.shown = seq;
    this.failures = 0;
    const timing = { queue: view.getFloat32(20, true), engine: view.getFloat32(24, true), encode: view.getFloat32(28, true) };
    this.complain(null);
    this.show({ bitmap, timing, delayMs: performance.now() - began, tag });
  }

  /** One request after the other, always for the newest. */
  async askAlone() {
    if (this.asking || this.wanted === null) return;
    this.asking = true;
    this.tell("requests");
    while (this.wanted !== null) {
      const { steering, tag } = this.wanted;
      const recipe = Object.fromEntries(Object.entries(steering).filter(([, value]) => value !== null));
      this.wanted = null;
      const began = performance.now();
      try {
        const { blob, timing } = await server.image(recipe);
        this.complain(null);
        this.show({ bitmap: await createImageBitmap(blob), timing, delayMs: performance.now() - began, tag });
      } catch (error) {
        this.complain(error);
        if (error.status === 429) this.again(error.waitMs);
      }
    }
    this.asking = false;
  }
}
