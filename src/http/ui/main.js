// Wires the parts together: what is chosen is in the URL, the reader reads it, the parts show it.

import { Form, Streams } from "./choose.js";
import { showDetail } from "./detail.js";
import { byId, copy, element } from "./dom.js";
import { factsOf, List } from "./list.js";
import { Plot } from "./plot.js";
import { problemOf, Reader } from "./reader.js";
import { download, LANGUAGES } from "./take.js";
import { rate, texts } from "./texts.js";
import { eventUrl, readChoice, streamUrl, writeChoice } from "./url.js";

const NOTICES_MAX = 5;
/** An event that is older when it comes belongs to the past. */
const BEHIND_MS = 10_000;

let choice = readChoice(location.hash);
let reader = null;
let scanned = 0;
let matched = 0;
let lag = null;
/** The server's clock minus this machine's, which may be wrong. */
let skew = 0;
const now = () => Date.now() + skew;

const list = new List(({ facts }) => choose({ event: facts.place }));
const plot = new Plot();
const streams = new Streams((names) => choose({ streams: names }));
const form = new Form(choose);

/** Puts a changed choice into the URL, and does what the URL says. */
function choose(changes) {
  const hash = writeChoice({ ...choice, ...changes });
  if (hash !== location.hash) history.pushState(null, "", hash);
  follow();
}

function follow() {
  const before = choice;
  choice = readChoice(location.hash);
  show();
  if (streamUrl(before) !== streamUrl(choice)) restart();
  if (before.event !== choice.event) showEvent();
}

function restart() {
  reader?.stop();
  list.clear();
  plot.clear();
  scanned = matched = 0;
  lag = null;
  byId("notices").replaceChildren();
  reader = new Reader((id) => streamUrl(choice, id), { open, received, comment, state: setState });
  if (choice.streams.length) reader.start();
  else setState("idle");
}

function open(response) {
  const date = Date.parse(response.headers.get("date"));
  // The header has whole seconds.
  if (date) skew = date + 500 - Date.now();
  setState("live");
}

function received(type, data) {
  const event = JSON.parse(data);
  const facts = factsOf(event);
  if (type === "progress") {
    scanned += event.scanned;
    matched += event.matched;
    // Its time may be old where nothing has come since.
    if (!event.scanned) return;
  } else {
    list.add({ raw: data, facts });
    plot.add(facts.stream);
    form.learn(facts);
  }
  const age = now() - Date.parse(event.dt ?? facts.time);
  if (!Number.isNaN(age)) lag = age;
  setState(lag > BEHIND_MS ? "behind" : "live");
}

/** Heartbeats are empty; other comments are for people. */
function comment(text) {
  if (text === "" || text === "ok") return;
  if (text.startsWith("waiting")) setState("waiting");
  byId("notices").append(element("li", {}, text));
  if (byId("notices").children.length > NOTICES_MAX) byId("notices").firstChild.remove();
}

function setState(name, { problem, waitMs } = {}) {
  const shown = byId("state");
  if (shown.className === name && !waitMs) return;
  shown.className = name;
  shown.textContent = texts.state[name];
  byId("pause").disabled = name === "idle";
  byId("pause").textContent = reader.isRunning ? texts.pause
    : name === "refused" ? texts.retry : texts.resume;
  const isFilter = problem?.type === "invalid_filter";
  form.showWrong(isFilter ? problem.detail : "");
  byId("problem").replaceChildren(...(problem && !isFilter ? words(problem) : []),
    waitMs ? texts.again(waitMs) : "");
}

/** A problem in the server's words. */
const words = ({ title, detail }) => [element("strong", {}, title), ` ${detail ?? ""}`];

async function showEvent() {
  const place = choice.event;
  let item = list.mark(place);
  byId("detail").hidden = true;
  if (!place) return;
  if (!item) {
    const response = await fetch(eventUrl(place));
    if (!response.ok) return byId("problem").replaceChildren(...words(await problemOf(response)));
    const raw = await response.text();
    item = { raw, facts: factsOf(JSON.parse(raw)) };
  }
  if (choice.event === place) showDetail(item, () => choose({ event: "" }));
}

/** What depends on the choice alone. */
function show() {
  const isEmpty = !choice.streams.length;
  streams.chosen = choice.streams;
  form.show(choice, streams);
  byId("view").classList.toggle("nothing", isEmpty);
  byId("language").value = choice.code in LANGUAGES ? choice.code : "curl";
  byId("snippet").textContent = isEmpty ? "" : LANGUAGES[byId("language").value](streamUrl(choice));
}

function tick() {
  const all = plot.tick();
  const parts = [texts.events(all.total), rate(all.rate)];
  if (lag !== null) parts.push(texts.lag(lag));
  if (scanned) parts.push(texts.looked(scanned, matched));
  byId("numbers").textContent = parts.join(" · ");
}

function pauseOrResume() {
  if (!reader.isRunning) return reader.start();
  reader.stop();
  setState("paused");
}

byId("pause").onclick = pauseOrResume;
byId("clear").onclick = () => { list.clear(); plot.clear(); };
byId("copy").onclick = (event) => copy(byId("snippet").textContent, event);
byId("language").onchange = ({ target }) => choose({ code: target.value });
byId("begin").onclick = () => choose({ streams: [streams.busiest] });
byId("download").onclick = () => download(choice, now());
addEventListener("popstate", follow);
addEventListener("keydown", ({ key }) => key === "Escape" && choose({ event: "" }));
setInterval(tick, 1000);

for (const item of document.querySelectorAll("[data-t]")) item.textContent = texts[item.dataset.t];
for (const item of document.querySelectorAll("[data-label]")) {
  item.ariaLabel = texts[item.dataset.label];
}
byId("search").placeholder = texts.search;
byId("language").append(...Object.keys(LANGUAGES).map((name) => new Option(name)));
// On a phone, the events come before the choice.
byId("panel").open = !choice.streams.length || matchMedia("(min-width: 50rem)").matches;
show();
restart();
showEvent();
await streams.load();
byId("begin").textContent = texts.begin(streams.busiest);
show();
