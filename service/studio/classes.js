// Class chips: one class, or several with a weight each.

const MANY = 24; // from here on there is a field to find a class in
const MOST = 8; // classes in a mix

let dials = 0; // that there have been, for their ids

export class Classes {
  /** `change(mix)` is called with slug -> weight. */
  constructor(change) {
    this.change = change;
    this.chips = document.getElementById("classes");
    this.weights = document.getElementById("weights");
    this.filter = document.getElementById("class-filter");
    this.modes = [...document.querySelectorAll("input[name=mode]")];
    for (const radio of this.modes) radio.addEventListener("change", () => this.switch());
    this.filter.addEventListener("input", () => this.find());
  }

  offer(model) {
    this.model = model;
    this.filter.hidden = model.slugs.length < MANY;
    this.filter.value = "";
    this.chips.replaceChildren(
      ...model.slugs.map((slug, place) => {
        const chip = document.createElement("button");
        chip.className = "chip";
        chip.dataset.slug = slug;
        chip.textContent = model.names[place];
        chip.addEventListener("click", () => this.choose(slug));
        return chip;
      }),
    );
  }

  get mixes() {
    return this.modes.some((radio) => radio.checked && radio.value === "mix");
  }

  switch() {
    const slugs = Object.keys(this.mix);
    if (!this.mixes && slugs.length > 1) {
      this.change({ [slugs.reduce((a, b) => (this.mix[b] > this.mix[a] ? b : a))]: 1 });
    } else if (this.mixes && slugs.length === 1) {
      const other = this.model.slugs[(this.model.slugs.indexOf(slugs[0]) + 1) % this.model.slugs.length];
      this.change({ [slugs[0]]: 0.5, [other]: 0.5 });
    }
  }

  choose(slug) {
    if (!this.mixes) return this.change({ [slug]: 1 });
    const mix = { ...this.mix };
    if (slug in mix) delete mix[slug];
    else if (Object.keys(mix).length < MOST) mix[slug] = 0.5;
    if (Object.keys(mix).length) this.change(mix);
  }

  find() {
    const text = this.filter.value.trim().toLowerCase();
    for (const chip of this.chips.children) chip.hidden = !chip.textContent.toLowerCase().includes(text);
  }

  show(mix) {
    const before = Object.keys(this.mix ?? {}).join();
    this.mix = mix;
    const slugs = Object.keys(mix);
    if (slugs.length > 1) for (const radio of this.modes) radio.checked = radio.value === "mix";
    for (const chip of this.chips.children) chip.setAttribute("aria-pressed", String(chip.dataset.slug in mix));
    if (slugs.join() !== before || !slugs.length) this.draw(slugs);
    const sum = Object.values(mix).reduce((a, b) => a + b, 0);
    for (const dial of this.weights.children) {
      const weight = mix[dial.dataset.slug];
      dial.querySelector("input").value = weight;
      dial.querySelector("output").textContent = `${Math.round((100 * weight) / sum)} %`;
    }
  }

  /** A slider for each class of a mix. */
  draw(slugs) {
    if (slugs.length < 2) return this.weights.replaceChildren();
    this.weights.replaceChildren(
      ...slugs.map((slug) => {
        const name = this.model.names[this.model.slugs.indexOf(slug)];
        const dial = makeDial(name, { min: 0, max: 1, step: 0.01 }, (weight) => {
          const mix = { ...this.mix, [slug]: weight };
          if (Object.values(mix).some((one) => one > 0)) this.change(mix);
          else this.show(this.mix);
        });
        dial.dataset.slug = slug;
        return dial;
      }),
    );
  }
}

/** A labelled slider with its value; `turn(number)` is called as it moves. */
export function makeDial(name, { min, max, step }, turn) {
  const dial = document.createElement("div");
  dial.className = "dial line";
  const label = document.createElement("label");
  const output = document.createElement("output");
  const input = document.createElement("input");
  dials += 1;
  Object.assign(input, { type: "range", min, max, step, id: `dial-${dials}` });
  label.htmlFor = input.id;
  label.textContent = name;
  input.addEventListener("input", () => turn(Number(input.value)));
  dial.append(label, output, input);
  return dial;
}
