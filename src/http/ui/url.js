// What is chosen, as the fragment of the page's URL: #/?streams=a,b&wiki=enwiki&since=...
// The parameters but `streams`, `event` and `code` are those of the API.

export const FLAGS = ["bot", "minor", "patrolled"];
export const FIELDS = ["wiki", "type", "user", "title", "domain", "namespace", ...FLAGS];
export const STARTS = ["since", "tail", "lastEventId"];
const PARAMETERS = [...FIELDS, "filter", ...STARTS, "until"];

/** `{streams: ["a", "b"], event: "topic/0/42", code: "curl", wiki: "enwiki", ...}`. */
export function readChoice(hash) {
  const query = new URLSearchParams(hash.replace(/^#\/?\??/, ""));
  const choice = { streams: (query.get("streams") ?? "").split(",").filter(Boolean) };
  for (const name of [...PARAMETERS, "event", "code"]) choice[name] = query.get(name)?.trim() || "";
  return choice;
}

export function writeChoice(choice) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(choice)) {
    if (value.length) query.set(name, value);
  }
  return `#/?${readable(query)}`;
}

/** The address of the stream. With an id, it continues there. */
export function streamUrl(choice, id) {
  const query = new URLSearchParams();
  for (const name of PARAMETERS) {
    if (choice[name] && !(id && STARTS.includes(name))) query.set(name, choice[name]);
  }
  if (id) query.set("lastEventId", id);
  const names = choice.streams.map(segment).join(",");
  return new URL(`../stream/${names}?${readable(query)}`, location).href.replace(/\?$/, "");
}

export const eventUrl = (place) => `../event/${place.split("/").map(segment).join("/")}`;

const readable = (query) => `${query}`.replaceAll("%2C", ",").replaceAll("%3A", ":");

/** Also without the characters that mean something to a shell: the URL is put into code. */
const segment = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt().toString(16)}`);
