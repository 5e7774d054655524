// What can be chosen: streams, filters and the range of time.

import { byId, element } from "./dom.js";
import { rate, texts } from "./texts.js";
import { FIELDS, FLAGS, STARTS } from "./url.js";

export class Streams {
  #all = [];
  #chosen = [];

  /** `changed(names)` is called with the chosen names. */
  constructor(changed) {
    this.changed = changed;
    byId("search").oninput = () => this.#draw();
  }

  async load() {
    try {
      this.#all = (await (await fetch("../streams")).json()).streams;
      this.#all.sort((a, b) => rateOf(b) - rateOf(a));
      this.#draw();
    } catch {
      byId("streams").replaceChildren(element("li", {}, texts.listFailed));
    }
  }

  set chosen(names) {
    this.#chosen = names;
    this.#draw();
  }

  get busiest() {
    return this.#all[0]?.name;
  }

  /** Whether an event of the chosen streams may have this member. */
  has(field) {
    const known = this.#all.filter((stream) => this.#isChosen(stream) && stream.shorthand.length);
    return !known.length || known.some(({ shorthand }) => shorthand.includes(field));
  }

  #isChosen(stream) {
    return namesOf(stream).some((name) => this.#chosen.includes(name));
  }

  #draw() {
    if (!this.#all.length) return;
    const wanted = byId("search").value.trim().toLowerCase();
    const shown = this.#all.filter((stream) => this.#isChosen(stream)
      || `${namesOf(stream)} ${stream.description}`.toLowerCase().includes(wanted));
    const known = this.#all.flatMap(namesOf);
    const unknown = this.#chosen.filter((name) => !known.includes(name))
      .map((name) => ({ name, aliases: [], description: texts.unknown }));
    const items = [...unknown, ...shown].map((stream) => this.#item(stream));
    byId("streams").replaceChildren(...items);
    if (!items.length) byId("streams").append(element("li", {}, texts.noStreams));
  }

  #item(stream) {
    const names = namesOf(stream);
    const checked = this.#isChosen(stream);
    const onchange = (event) => {
      event.stopPropagation();
      const others = this.#chosen.filter((name) => !names.includes(name));
      this.changed(checked ? others : [...others, stream.name]);
    };
    return element("li", { title: names.join(", ") },
      element("label", {},
        element("input", { type: "checkbox", checked, onchange }),
        element("span", {}, stream.name),
        element("small", {}, stream.url ? rate(rateOf(stream)) : "")),
      element("small", {}, stream.description ?? ""));
  }
}

const namesOf = ({ name, aliases }) => [name, ...aliases];

const rateOf = ({ records_per_second: rates }) => rates.last_day ?? rates.last_minute;

/** Values of one field that are offered for completion. */
const OFFERED_MAX = 200;
const TEXTS = [...FIELDS, "filter", "tail", "lastEventId"];
const TIMES = ["since", "until"];

export class Form {
  #inputs = byId("form").elements;
  #seen = new Map();

  /** `changed(values)` is called with the values of all fields. */
  constructor(changed) {
    byId("fields").append(...FIELDS.map((name) => this.#field(name)));
    byId("from").append(...options(texts.start));
    byId("from").onchange = () => this.#showStart();
    byId("search").onchange = (event) => event.stopPropagation();
    byId("form").onchange = () => changed(this.#values());
    byId("form").onsubmit = (event) => {
      event.preventDefault();
      changed(this.#values());
    };
  }

  /** Offers the values of an event for completion. */
  learn(facts) {
    for (const [name, values] of this.#seen) {
      if (facts[name] && values.size < OFFERED_MAX) values.add(facts[name]);
    }
  }

  /** Shows a choice, and the fields that its streams have. */
  show(choice, streams) {
    for (const name of TEXTS) this.#inputs[name].value = choice[name];
    for (const name of TIMES) {
      const time = Date.parse(choice[name]);
      this.#inputs[name].value = time ? new Date(time).toISOString().slice(0, 19) : "";
    }
    for (const name of FIELDS) {
      this.#inputs[name].parentElement.hidden = !choice[name] && !streams.has(name);
    }
    const start = STARTS.find((name) => choice[name]);
    if (start) byId("from").value = start;
    this.#showStart();
  }

  /** Shows what the server says of the filter, and points at the column. */
  showWrong(detail) {
    const column = /column (\d+)/.exec(detail)?.[1];
    const { filter } = this.#inputs;
    filter.ariaInvalid = detail !== "";
    const pointer = column ? `${filter.value}\n${" ".repeat(column - 1)}^` : "";
    byId("wrong").replaceChildren(element("pre", {}, pointer), detail);
  }

  #showStart() {
    for (const name of STARTS) this.#inputs[name].hidden = byId("from").value !== name;
  }

  #values() {
    const values = {};
    for (const name of TEXTS) values[name] = this.#inputs[name].value.trim();
    for (const name of TIMES) {
      const time = this.#inputs[name].value;
      values[name] = time && `${time}Z`;
    }
    for (const name of STARTS) if (byId("from").value !== name) values[name] = "";
    return values;
  }

  #field(name) {
    const label = element("label", {}, texts[name]);
    if (FLAGS.includes(name)) {
      label.append(element("select", { name }, ...options(texts.flag)));
      return label;
    }
    const offered = element("datalist", { id: `seen-${name}` });
    const values = new Set();
    this.#seen.set(name, values);
    const onfocus = () => offered.replaceChildren(
      ...[...values].sort().map((value) => new Option(value, value)));
    const input = element("input", { name, onfocus, placeholder: texts.hint[name] ?? "" });
    input.setAttribute("list", offered.id);
    label.append(input, offered);
    return label;
  }
}

const options = (texts) =>
  Object.entries(texts).map(([value, text]) => new Option(text, value));
