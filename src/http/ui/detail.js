// One event: its links and its JSON, foldable.

import { button, byId, copy, element } from "./dom.js";
import { texts } from "./texts.js";
import { eventUrl } from "./url.js";

/** Children of one value that are shown at once. */
const CHILDREN_MAX = 100;

const COLOURS = { string: "new", number: "edit", boolean: "log", object: "log" };

/** Shows the event. `raw` is its JSON as the server sent it. */
export function showDetail({ raw, facts }, close) {
  const link = (textContent, href) =>
    element("a", { href, textContent, target: "_blank", rel: "noreferrer" });
  const heading = element("h2", { textContent: facts.title || texts.untitled, tabIndex: -1 });
  byId("detail").replaceChildren(
    element("div", { className: "bar" }, heading, button(texts.close, close)),
    element("p", { className: "bar" },
      facts.page ? link(texts.page, facts.page) : "",
      link(texts.alone, eventUrl(facts.place)),
      button(texts.copyJson, (event) => copy(raw, event))),
    element("div", { className: "json mono" }, node("", JSON.parse(raw), true)));
  byId("detail").hidden = false;
  heading.focus({ preventScroll: true });
}

/** A member and its value. Children are made when they are unfolded: JSON may be deep. */
function node(name, value, isOpen) {
  const label = element("span", { className: "soft", textContent: name && `${name}: ` });
  if (value === null || typeof value !== "object") {
    const className = COLOURS[typeof value];
    const text = element("span", { className, textContent: JSON.stringify(value) });
    return element("div", {}, label, text);
  }
  const members = Object.entries(value);
  const size = Array.isArray(value) ? `[${members.length}]` : `{${members.length}}`;
  const folded = element("details", {}, element("summary", {}, label, size));
  const showMore = () => {
    const next = members.splice(0, CHILDREN_MAX);
    folded.append(...next.map(([key, child]) => node(key, child, key === "meta")));
    if (members.length === 0) return;
    const more = button(texts.more(members.length), () => { more.remove(); showMore(); });
    folded.append(more);
  };
  folded.addEventListener("toggle", showMore, { once: true });
  folded.open = isOpen;
  return folded;
}
