// A state in the words of the interface: request fields, a link, a line for the shell, words for people.

import { numbers, pairs } from "./state.js";

/** The fields of a request for the image. */
export function fields(state, model) {
  const slugs = Object.keys(state.mix);
  const made = { model: state.model };
  if (slugs.length === 1) made.label = model.names[model.slugs.indexOf(slugs[0])];
  else made.mix = state.mix;
  if (state.latent) made.latent = numbers(state.latent);
  else made.seed = state.seed;
  if (state.truncation !== null) made.truncation = state.truncation;
  if (Object.keys(state.directions).length) made.directions = state.directions;
  return made;
}

/** The same for a stream, where a field that is not given stays as it was. */
export function steering(state, model) {
  const none = { label: null, mix: null, seed: null, latent: null, truncation: null };
  if (model.directions.length) none.directions = null;
  return { ...none, ...fields(state, model) };
}

/** The image's link, for ever. */
export function link(state, model, scale, base) {
  const slugs = Object.keys(state.mix);
  const query = [];
  if (slugs.length > 1) query.push(`mix=${pairs(state.mix)}`);
  if (state.latent) query.push(`latent=${state.latent}`);
  if (state.truncation !== null) query.push(`truncation=${state.truncation}`);
  if (Object.keys(state.directions).length) query.push(`directions=${pairs(state.directions)}`);
  query.push(`scale=${scale}`);
  const path = `${slugs.length > 1 ? "mix" : slugs[0]}/${state.latent ? "latent" : state.seed}.png`;
  return new URL(`v1/images/${model.version}/${path}?${query.join("&")}`, base).href;
}

/** A line for the shell that makes the same image. */
export function curl(state, model, scale, base, withKey) {
  const body = JSON.stringify({ ...fields(state, model), scale }).replaceAll("'", "'\\''");
  const key = withKey ? `-H "Authorization: Bearer $KEY" ` : "";
  return `curl ${new URL("v1/images", base).href} ${key}-H 'content-type: application/json' -d '${body}' -o ${filename(state)}.png`;
}

/** "Sneaker", or "70 % Sneaker, 30 % Sandal". */
export function title(state, model) {
  const name = (slug) => model.names[model.slugs.indexOf(slug)];
  const slugs = Object.keys(state.mix);
  if (slugs.length === 1) return name(slugs[0]);
  const sum = Object.values(state.mix).reduce((a, b) => a + b, 0) || 1;
  const present = slugs.filter((slug) => state.mix[slug] > 0).sort((a, b) => state.mix[b] - state.mix[a]);
  return present.map((slug) => `${Math.round((100 * state.mix[slug]) / sum)} % ${name(slug)}`).join(", ");
}

export function filename(state) {
  const slugs = Object.keys(state.mix);
  return `${slugs.length > 1 ? "mix" : slugs[0]}-${state.latent ? "latent" : state.seed}`;
}
