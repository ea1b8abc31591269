// The image that follows the hand. Over the stream; by single requests where no stream can be had.
// Either way the newest wins: what was asked for in between is never made up for.

import * as server from "./server.js";

const HEADER = 32; // bytes before the image; docs/stream.md
const WINDOW = 3;
const HANDSHAKE_MS = 4000;
const AGAIN_MS = 500; // until a stream that broke is opened again, where something waits for it
const ALONE_MS = 30_000; // of single requests, until a stream is tried again

export class Live {
  /** `show({bitmap, timing, delayMs, tag})`, `tell(status)` and `complain(error or null)` are called as it goes. */
  constructor({ show, tell, complain }) {
    Object.assign(this, { show, tell, complain });
    this.latest = null; // the newest that was asked for,
    this.wanted = null; // which is this too until it is sent
    this.sent = new Map(); // seq -> when, and the tag
    this.seq = 0;
    this.shown = -1;
    this.socket = null;
    this.alone = false; // no stream for now
    this.asking = false; // a single request is on its way
    this.due = false; // `go` is
  }

  /** Asks for the image of a recipe; `tag` comes back with it. */
  want(steering, tag) {
    this.wanted = this.latest = { steering, tag };
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.go();
    });
  }

  go() {
    if (this.wanted === null) return;
    if (this.alone) this.ask();
    else if (this.socket === null) this.open();
    else if (this.socket.readyState === WebSocket.OPEN) this.send();
  }

  send() {
    this.seq += 1;
    this.sent.set(this.seq, { began: performance.now(), tag: this.wanted.tag });
    this.socket.send(JSON.stringify({ seq: this.seq, ...this.wanted.steering }));
    this.wanted = null;
  }

  async open() {
    this.tell("connecting");
    this.shown = -1;
    this.socket = { readyState: WebSocket.CONNECTING };
    const key = await server.key();
    const socket = new WebSocket(new URL("v1/stream", server.base.replace(/^http/, "ws")));
    const patience = setTimeout(() => socket.close(), HANDSHAKE_MS);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      clearTimeout(patience);
      socket.send(JSON.stringify(key ? { key, window: WINDOW } : { window: WINDOW }));
      this.seq = 0;
      this.sent.clear();
      this.tell("live");
      this.go();
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.read(JSON.parse(data)) : this.take(data, socket));
    socket.onclose = () => this.closed();
  }

  /** One that has shown something rests until it is wanted; one that has not is not tried again soon. */
  closed() {
    this.socket = null;
    if (this.shown >= 0) {
      this.tell("resting");
      if (this.wanted !== null || this.sent.size) this.again(AGAIN_MS);
      return;
    }
    this.alone = true;
    setTimeout(() => (this.alone = false), ALONE_MS);
    this.again(0);
  }

  again(afterMs) {
    setTimeout(() => this.latest && this.want(this.latest.steering, this.latest.tag), afterMs);
  }

  /** What is no frame: a problem, or the version of the model. */
  read({ seq, problem }) {
    if (!problem) return;
    this.sent.delete(seq);
    this.complain(new Error(problem.detail));
    if (problem.retry_after_s) this.again(1000 * problem.retry_after_s);
  }

  async take(buffer, socket) {
    const view = new DataView(buffer);
    const seq = view.getUint32(4, true);
    const asked = this.sent.get(seq);
    for (const old of this.sent.keys()) if (old <= seq) this.sent.delete(old);
    const bitmap = await createImageBitmap(new Blob([buffer.slice(HEADER)]));
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ seen: seq }));
    if (!asked || seq <= this.shown || socket !== this.socket) return;
    this.shown = seq;
    const [queue, engine, encode] = [20, 24, 28].map((place) => view.getFloat32(place, true));
    this.complain(null);
    this.show({ bitmap, timing: { queue, engine, encode }, delayMs: performance.now() - asked.began, tag: asked.tag });
  }

  /** One request after the other, always for the newest. */
  async ask() {
    if (this.asking) return;
    this.asking = true;
    this.tell("requests");
    while (this.wanted !== null) {
      const { steering, tag } = this.wanted;
      this.wanted = null;
      const began = performance.now();
      try {
        const { blob, timing } = await server.image(given(steering));
        const bitmap = await createImageBitmap(blob);
        this.complain(null);
        this.show({ bitmap, timing, delayMs: performance.now() - began, tag });
      } catch (error) {
        this.complain(error);
        if (error.status === 429) this.again(error.waitMs);
      }
    }
    this.asking = false;
  }
}

/** Without what is null, which takes a field away from a stream but has no place in a request. */
function given(steering) {
  return Object.fromEntries(Object.entries(steering).filter(([, value]) => value !== null));
}
