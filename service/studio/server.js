// The server, by HTTP: its models, arrays of images, animations. Problems become errors with their detail.

const KEY = "mintage.key";
export const base = new URL(".", document.baseURI).href;
export const needsKey = document.documentElement.dataset.key === "yes";

let askForKey = async () => null;

/** `ask(why)` is to return a key that a person gave. */
export function useKeys(ask) {
  askForKey = ask;
}

export async function key() {
  if (!needsKey) return null;
  let known = sessionStorage.getItem(KEY);
  if (!known) {
    known = await askForKey("");
    sessionStorage.setItem(KEY, known);
  }
  return known;
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const known = await key();
  if (known) headers["x-api-key"] = known;
  const reply = await fetch(new URL(path, base), { ...options, headers }).catch(unreached);
  if (reply.status === 401 && needsKey) {
    sessionStorage.setItem(KEY, await askForKey("The server does not know that key."));
    return ask(path, options);
  }
  if (!reply.ok) throw await problem(reply);
  return reply;
}

function post(path, body) {
  const headers = { "content-type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

function unreached(error) {
  throw error.name === "AbortError" ? error : new Error("The server cannot be reached.");
}

async function problem(reply) {
  const told = await reply.json().catch(() => ({}));
  return Object.assign(new Error(told.detail ?? `The server answered ${reply.status}`), {
    status: reply.status,
    waitMs: 1000 * (told.retry_after_s ?? 1),
  });
}

/** Every model, with what the page needs of it. */
export async function models() {
  const { data } = await (await ask("v1/models")).json();
  return data.map((entry) => ({
    id: entry.id,
    version: entry.version,
    default: entry.default,
    names: entry.manifest.spec.class_names,
    slugs: entry.manifest.spec.slugs,
    latentDim: entry.manifest.spec.latent_dim,
    size: entry.manifest.spec.image_size,
    channels: entry.manifest.spec.channels,
    directions: entry.directions ?? [],
    encoder: entry.encoder ?? false,
    data: entry.manifest.provenance ?? {},
    engine: entry.engine.key,
  }));
}

/** Pixels of a class and n seeds: a list of ImageData. */
export async function images(recipe, signal) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ ...recipe, format: "npy" });
  const reply = await ask("v1/images", { method: "POST", headers, body, signal });
  return unpacked(await reply.arrayBuffer());
}

/** One image, as the server encodes it, and where its time went. */
export async function image(recipe) {
  const reply = await post("v1/images", recipe);
  const spans = [...(reply.headers.get("server-timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g)];
  return { blob: await reply.blob(), timing: Object.fromEntries(spans.map(([, name, ms]) => [name, Number(ms)])) };
}

/** An animation as a blob. */
export async function morph(request, type) {
  const headers = { "content-type": "application/json", accept: type };
  return (await ask("v1/interpolations", { method: "POST", headers, body: JSON.stringify(request) })).blob();
}

/** The latent and class that reproduce an image. */
export async function invert(model, file) {
  const path = `v1/inversions?model=${encodeURIComponent(model)}`;
  return (await ask(path, { method: "POST", headers: { "content-type": file.type }, body: file })).json();
}

/** uint8 [N, H, W, C] of a .npy file -> a list of ImageData. */
function unpacked(buffer) {
  const length = new DataView(buffer).getUint16(8, true);
  const head = new TextDecoder().decode(new Uint8Array(buffer, 10, length));
  const [count, height, width, channels] = head.match(/'shape': \(([\d, ]+)\)/)[1].split(",").map(Number);
  const values = new Uint8Array(buffer, 10 + length);
  return Array.from({ length: count }, (_, place) => {
    const size = height * width * channels;
    return picture(values.subarray(place * size, (place + 1) * size), width, height, channels);
  });
}

function picture(values, width, height, channels) {
  const pixels = new ImageData(width, height);
  for (let place = 0; place < width * height; place += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      pixels.data[4 * place + channel] = values[place * channels + (channels === 1 ? 0 : channel)];
    }
    pixels.data[4 * place + 3] = 255;
  }
  return pixels;
}
