// What is on screen, all of it, and its way to the address bar and back.
//
// state = { model, mix: {slug: weight}, seed, latent, truncation, directions: {index: amount} }
// One class is a mix of one. `seed` or `latent` (base64url of float32) is null, `truncation` may be.

export const MAX_SEED = 2 ** 32 - 1;
const [MAX_WEIGHT, MAX_TRUNCATION, MAX_AMOUNT, MAX_LATENT] = [1e6, 8, 10, 100]; // as the server's

/** What a model shows first. */
export function beginning(model) {
  return { model: model.id, mix: { [model.slugs[0]]: 1 }, seed: 42, latent: null, truncation: null, directions: {} };
}

/** The state as an address bar has it, after the #. */
export function toHash(state) {
  const parts = [`model=${encodeURIComponent(state.model)}`];
  const slugs = Object.keys(state.mix);
  if (slugs.length === 1) parts.push(`class=${slugs[0]}`);
  else parts.push(`mix=${pairs(state.mix)}`);
  if (state.latent) parts.push(`latent=${state.latent}`);
  else parts.push(`seed=${state.seed}`);
  if (state.truncation !== null) parts.push(`truncation=${state.truncation}`);
  if (Object.keys(state.directions).length) parts.push(`directions=${pairs(state.directions)}`);
  return parts.join("&");
}

/** The state of an address; what it lacks, or has wrong, is as in the beginning. */
export function fromHash(hash, models) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const model = models.find((one) => one.id === given.get("model")) ?? models.find((one) => one.default) ?? models[0];
  const state = beginning(model);
  const mix = unpaired(given.get("mix") ?? (given.has("class") ? `${given.get("class")}:1` : ""));
  const known = Object.entries(mix).filter(([slug, weight]) => model.slugs.includes(slug) && weight >= 0 && weight <= MAX_WEIGHT);
  if (known.some(([, weight]) => weight > 0)) state.mix = Object.fromEntries(known);
  if (isLatent(given.get("latent"), model)) Object.assign(state, { latent: given.get("latent"), seed: null });
  else if (isSeed(given.get("seed"))) state.seed = Number(given.get("seed"));
  const truncation = Number(given.get("truncation"));
  if (truncation > 0 && truncation <= MAX_TRUNCATION && !state.latent) state.truncation = truncation;
  const indices = model.directions.map(({ index }) => String(index));
  const amounts = Object.entries(unpaired(given.get("directions") ?? ""));
  const allowed = amounts.filter(([index, amount]) => indices.includes(index) && amount && Math.abs(amount) <= MAX_AMOUNT);
  state.directions = Object.fromEntries(allowed);
  return state;
}

export function isSeed(text) {
  return /^\d{1,10}$/.test(text ?? "") && Number(text) <= MAX_SEED;
}

function isLatent(text, model) {
  if (!/^[\w-]+$/.test(text ?? "")) return false;
  try {
    const latent = numbers(text);
    return latent.length === model.latentDim && latent.every((one) => Math.abs(one) <= MAX_LATENT);
  } catch {
    return false; // no base64, or of no float32
  }
}

/** base64url of little-endian float32 -> numbers, and back. */
export function numbers(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return [...new Float32Array(bytes.buffer)];
}

export function packed(latent) {
  const bytes = new Uint8Array(Float32Array.from(latent).buffer);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** {a: 1, b: 2} -> "a:1,b:2" */
export function pairs(amounts) {
  return Object.entries(amounts).map(([name, amount]) => `${name}:${amount}`).join(",");
}

function unpaired(text) {
  const entries = text.split(",").map((part) => part.split(":")).filter(([name, amount]) => name && isFinite(amount));
  return Object.fromEntries(entries.map(([name, amount]) => [name, Number(amount)]));
}
