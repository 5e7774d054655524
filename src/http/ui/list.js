// The rows, newest first. They follow unless one scrolls down or is on a row with the keyboard.
// And what a row shows of an event: the members differ between schemas, so the first that is there
// counts, as in the shorthand filters of the server.

import { byId, element } from "./dom.js";
import { texts } from "./texts.js";

/** More rows than anybody reads; the document stays small. */
const ROWS_MAX = 500;
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

export class List {
  #rows = byId("rows");
  #scroller = byId("scroller");
  #items = new Map(); // row -> {raw, facts}
  #pending = [];
  #added = 0;
  #isScheduled = false;

  /** `open(item)` is called for the item of the row that is chosen. */
  constructor(open) {
    byId("columns").append(...texts.columns.map((textContent) =>
      element("th", { scope: "col", textContent })));
    this.#rows.onclick = ({ target }) => {
      const row = target.closest("tr");
      this.#makeReachable(row);
      open(this.#items.get(row));
    };
    this.#rows.onkeydown = (event) => this.#move(event);
    this.#scroller.onscroll = () => this.#schedule();
    byId("newer").onclick = () => this.#follow();
  }

  add(item) {
    this.#added += 1;
    this.#pending.push(item);
    // Nothing is drawn while the page is hidden.
    if (this.#pending.length > 2 * ROWS_MAX) this.#pending.splice(0, ROWS_MAX);
    this.#schedule();
  }

  clear() {
    this.#rows.replaceChildren();
    this.#items.clear();
    this.#pending = [];
    this.#added = 0;
    this.#draw();
  }

  /** Marks the row of the opened event, and returns its item. */
  mark(place) {
    let found;
    for (const [row, item] of this.#items) {
      if (row.classList.toggle("open", item.facts.place === place)) found = item;
    }
    return found;
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#draw();
    }), CALM.matches ? 1000 : 400);
  }

  #draw() {
    const follows = this.#scroller.scrollTop < 8 && !this.#rows.querySelector(":focus-visible");
    if (follows && this.#pending.length) {
      const fresh = this.#pending.splice(0).slice(-ROWS_MAX).reverse();
      this.#rows.prepend(...fresh.map((item) => this.#row(item)));
      for (const row of [...this.#rows.rows].slice(ROWS_MAX)) {
        this.#items.delete(row);
        row.remove();
      }
      this.#makeReachable(this.#rows.firstChild);
    }
    const waiting = this.#pending.length;
    byId("newer").hidden = !waiting;
    byId("newer").textContent = texts.newer(waiting);
    const dropped = this.#added - this.#items.size - waiting;
    byId("dropped").textContent = dropped ? texts.dropped(dropped) : "";
  }

  #row(item) {
    const { time, stream, wiki, domain, title, user, type, kind, change } = item.facts;
    const cell = (className, text) => element("td", { className, title: text }, text);
    const row = element("tr", {},
      element("td", { className: "number", title: time }, time.slice(11, 19)),
      element("td", { title: stream }, stream.replace(/^[^.]+\./, "")),
      cell("", wiki || domain),
      element("td", {},
        element("button", { type: "button", tabIndex: -1 }, title || texts.untitled)),
      cell("", user),
      element("td", {}, element("span", { className: `type ${kind}` }, type)),
      cell(`number ${change < 0 ? "delete" : "new"}`, signed(change)));
    this.#items.set(row, item);
    return row;
  }

  /** One row is reached with Tab, the others with the arrows. */
  #makeReachable(row) {
    const reachable = this.#rows.querySelector("[tabindex='0']");
    if (reachable) reachable.tabIndex = -1;
    row.querySelector("button").tabIndex = 0;
  }

  #move(event) {
    const row = event.target.closest("tr");
    const to = { ArrowDown: row.nextSibling, ArrowUp: row.previousSibling }[event.key];
    if (!to) return;
    event.preventDefault();
    this.#makeReachable(to);
    to.querySelector("button").focus();
  }

  #follow() {
    document.activeElement.blur();
    this.#scroller.scrollTop = 0;
    this.#draw();
  }
}

const signed = (n) => n?.toLocaleString("en", { signDisplay: "exceptZero" }) ?? "";

const PATHS = {
  time: ["meta.dt"],
  stream: ["meta.stream", "meta.topic"],
  wiki: ["wiki", "database", "wiki_id"],
  title: ["title", "page_title", "page.page_title"],
  user: ["user", "performer.user_text"],
  type: ["type", "page_change_kind"],
  domain: ["meta.domain"],
  namespace: ["namespace", "page_namespace", "page.namespace_id"],
};

/** Kinds that share a colour. */
const KINDS = {
  edit: "edit", new: "new", create: "new", undelete: "new", log: "log", move: "log",
  delete: "delete", suppress: "delete", categorize: "sort",
};

export function factsOf(event) {
  const facts = {};
  for (const [name, paths] of Object.entries(PATHS)) facts[name] = text(first(event, paths));
  facts.place = ["topic", "partition", "offset"].map((name) => event.meta?.[name]).join("/");
  facts.kind = KINDS[facts.type] ?? "other";
  const size = first(event, ["length.new", "revision.rev_size"]);
  const before = facts.kind === "new" ? 0
    : first(event, ["length.old", "prior_state.revision.rev_size"]);
  if (Number.isFinite(size - before)) facts.change = size - before;
  // A link of another scheme, such as `javascript:`, would run what an event wants.
  facts.page = [event.meta?.uri, event.server_url].find((uri) => /^https?:\/\//i.test(uri));
  return facts;
}

const first = (event, paths) =>
  paths.map((path) => path.split(".").reduce((value, name) => value?.[name], event))
    .find((value) => value !== undefined && value !== null);

const text = (value) => (typeof value === "object" ? "" : String(value ?? ""));
