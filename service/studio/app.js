// The studio: one state, shown by every part of the page and changed by any.

import { Classes } from "./classes.js";
import { Live } from "./live.js";
import { Morph, save } from "./morph.js";
import { curl, fields, filename, link, steering, title } from "./recipe.js";
import * as server from "./server.js";
import { MAX_SEED, beginning, fromHash, isSeed, packed, toHash } from "./state.js";
import { Steer } from "./steer.js";
import { Timing } from "./timing.js";
import { Wall, paint } from "./wall.js";

const at = (id) => document.getElementById(id);
const OFF = 3; // the truncation slider's end, where there is none
const LARGE = 512; // pixels that a saved image should have, about
const SETTLED_MS = 250;
const STATUS = {
  connecting: "connecting",
  live: "live",
  resting: "resting",
  requests: "by single requests",
};

let models = [];
let model = null;
let state = null;
let settled = 0;
let found = null; // by the last inversion: { latent, error }

const timing = new Timing();
const classes = new Classes((mix) => change({ mix }));
const steer = new Steer((directions) => change({ directions }));
const wall = new Wall((slug, seed) => {
  change({ mix: { [slug]: 1 }, seed, latent: null, directions: {} });
  at("plate").scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
});
const morph = new Morph({ open: (kept) => change(kept), complain });
const live = new Live({ show, tell, complain });

server.useKeys(askForKey);
begin().catch(complain);

async function begin() {
  models = await server.models();
  at("model").replaceChildren(...models.map((one) => new Option(one.id, one.id)));
  at("model").disabled = models.length < 2;
  take(fromHash(location.hash, models));
  addEventListener("hashchange", () => {
    const there = fromHash(location.hash, models);
    if (toHash(there) !== toHash(state)) take(there);
  });
}

/** Another state altogether, perhaps of another model. */
function take(next) {
  if (model?.id !== next.model) {
    model = models.find((one) => one.id === next.model);
    at("model").value = model.id;
    for (const part of [classes, steer, wall, morph]) part.offer(model);
    at("pick").hidden = !model.encoder;
    credit();
  }
  state = next;
  render();
}

function change(part) {
  take({ ...state, ...part });
}

/** Everything but the image follows at once; that comes when it is made. */
function render() {
  classes.show(state.mix);
  steer.show(state.directions);
  showSeed(state.seed ?? "");
  at("seed").placeholder = state.latent ? "a latent" : "";
  at("truncation").value = state.truncation ?? OFF;
  at("truncation").disabled = Boolean(state.latent);
  at("truncation-value").textContent = state.truncation === null ? "off" : state.truncation.toFixed(2);
  at("title").textContent = title(state, model);
  at("legend").textContent = legend();
  live.want(steering(state, model), toHash(state));
  clearTimeout(settled);
  settled = setTimeout(settle, SETTLED_MS);
}

/** A seed in its box, or what is wrong with the one that somebody types. */
function showSeed(text) {
  const isGood = text === "" || isSeed(text);
  if (isGood) at("seed").value = text;
  at("seed").setAttribute("aria-invalid", String(!isGood));
  at("seed-note").textContent = isGood ? "A seed is the same image for ever." : `A whole number from 0 to ${MAX_SEED}.`;
}

/** What need not follow every movement. */
function settle() {
  history.replaceState(null, "", `#${toHash(state)}`);
  at("link").dataset.shown = toHash(state);
  at("link").textContent = link(state, model, scale(), server.base);
  at("curl").textContent = curl(state, model, scale(), server.base, server.needsKey);
  at("image").setAttribute("aria-label", `${title(state, model)}, ${legend()}`);
  at("spoken").textContent = `${title(state, model)}, ${legend()}`;
  wall.show(state);
}

function legend() {
  const parts = [state.latent ? aboutLatent() : `seed ${state.seed}`];
  if (state.truncation !== null) parts.push(`truncation ${state.truncation}`);
  const moved = Object.keys(state.directions).length;
  if (moved) parts.push(`moved in ${moved} direction${moved > 1 ? "s" : ""}`);
  return parts.join(" · ");
}

/** What is known of a latent: how far the image that it was found for is off, root mean square. */
function aboutLatent() {
  return state.latent === found?.latent ? `found, ${found.error.toFixed(1)} of 255 off` : "a latent of its own";
}

function scale() {
  return Math.max(1, Math.min(64, Math.round(LARGE / model.size)));
}

function show(frame) {
  paint(at("image"), frame.bitmap);
  at("image").dataset.shown = frame.tag;
  fit();
  timing.add(frame.timing, frame.delayMs);
}

/** The image as large as the plate has room for, each pixel of it a whole number of the screen's. */
function fit() {
  const [canvas, plate] = [at("image"), at("plate")];
  const room = plate.getBoundingClientRect().width - 2 * parseFloat(getComputedStyle(plate).paddingLeft);
  const times = Math.max(1, Math.floor((room * devicePixelRatio) / canvas.width));
  canvas.style.width = `${(times * canvas.width) / devicePixelRatio}px`;
}

function tell(status) {
  at("pulse").dataset.status = status;
  at("pulse-text").textContent = STATUS[status];
}

function complain(error) {
  at("problem").hidden = !error;
  if (error) at("problem").textContent = error.message;
}

function credit() {
  const { data_name: name, data_attribution: whose, data_licence: licence } = model.data;
  const about = [`${model.version} · ${model.size} × ${model.size} ${model.channels === 1 ? "grey" : "colour"}`, model.engine];
  if (name) about.push(`learnt from ${name}${licence ? `, ${licence}` : ""}${whose ? `, ${whose}` : ""}`);
  at("credit").textContent = about.join(" · ");
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function askForKey(why) {
  const dialog = at("key-dialog");
  if (why) at("key-note").textContent = why;
  at("key").value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    at("key-form").addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        dialog.close();
        resolve(at("key").value.trim());
      },
      { once: true },
    );
  });
}

async function find(file) {
  if (!file) return;
  complain(null);
  at("plate").setAttribute("aria-busy", "true");
  try {
    const { label, latent, error } = await server.invert(model.id, file);
    const slug = model.slugs[model.names.indexOf(label)];
    found = { latent: packed(latent), error };
    change({ mix: { [slug]: 1 }, seed: null, latent: found.latent, truncation: null, directions: {} });
  } catch (error) {
    complain(error);
  }
  at("plate").removeAttribute("aria-busy");
  at("file").value = ""; // the same file may be chosen again
}

function setSeed(seed) {
  change({ seed: (seed + MAX_SEED + 1) % (MAX_SEED + 1), latent: null });
}

at("model").addEventListener("change", () => take(beginning(models.find((one) => one.id === at("model").value))));
at("seed").addEventListener("input", () => {
  if (isSeed(at("seed").value)) setSeed(Number(at("seed").value));
  else if (at("seed").value) showSeed(at("seed").value);
});
at("seed-back").addEventListener("click", () => setSeed((state.seed ?? 0) - 1));
at("seed-on").addEventListener("click", () => setSeed((state.seed ?? 0) + 1));
at("dice").addEventListener("click", () => setSeed(crypto.getRandomValues(new Uint32Array(1))[0]));
at("truncation").addEventListener("input", () => {
  const bound = Number(at("truncation").value);
  change({ truncation: bound >= OFF ? null : bound });
});
at("keep").addEventListener("click", () => {
  morph.add(state, at("image"));
  at("spoken").textContent = `Added: ${morph.keyframes.length} keyframes`;
  at("plate").classList.remove("struck");
  requestAnimationFrame(() => at("plate").classList.add("struck"));
});
at("save").addEventListener("click", async () => {
  const name = `${filename(state)}.png`;
  try {
    save((await server.image({ ...fields(state, model), scale: scale() })).blob, name);
  } catch (error) {
    complain(error);
  }
});
at("share").addEventListener("click", () => copy(location.href, at("share")));
for (const button of document.querySelectorAll("[data-copies]")) {
  button.addEventListener("click", () => copy(at(button.dataset.copies).textContent, button));
}
at("file").addEventListener("change", () => find(at("file").files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    if (!model?.encoder) return;
    event.preventDefault(); // a browser would go to the file
    at("veil").hidden = kind !== "dragover";
    if (kind === "drop") find(event.dataTransfer.files[0]);
  });
}
new ResizeObserver(fit).observe(at("plate"));

/** To the clipboard, where there is one: a page that came by plain HTTP from elsewhere has none. */
async function copy(text, button) {
  const said = (button.dataset.says ??= button.lastChild.textContent); // also while it says "Copied"
  try {
    await navigator.clipboard.writeText(text);
    button.lastChild.textContent = "Copied";
  } catch {
    button.lastChild.textContent = "Not by plain HTTP";
  }
  setTimeout(() => (button.lastChild.textContent = said), 1200);
}
