// All texts of the page.

const count = (n) => n.toLocaleString("en");

function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 2) return "under 2 s";
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

export const rate = (n) => `${n < 10 ? Number(n.toFixed(n < 1 ? 2 : 1)) : Math.round(n)}/s`;

export const texts = {
  tagline: "Watch events as they happen, filter them, and take the command with you.",
  docs: "API documentation",
  panel: "Streams and filters",
  streams: "Streams",
  search: "Search streams",
  noStreams: "No stream has this in its name or description.",
  unknown: "is not in the list of streams",
  listFailed: "The list of streams could not be loaded.",
  filter: "Only events with",
  wiki: "Wiki",
  type: "Type",
  user: "User",
  title: "Title",
  domain: "Domain",
  namespace: "Namespace",
  bot: "Bot",
  minor: "Minor",
  patrolled: "Patrolled",
  hint: { wiki: "enwiki, dewiki", type: "edit, new", domain: "*.wikipedia.org", namespace: "0" },
  flag: { "": "any", true: "yes", false: "no" },
  expression: "Expression",
  apply: "Apply",
  range: "Time",
  from: "Start",
  start: {
    "": "now",
    since: "at a time (UTC)",
    tail: "with the last events",
    lastEventId: "after an event's id",
  },
  since: "Start time in UTC",
  tail: "Number of events",
  lastEventId: "Event id",
  until: "End (UTC), or none",
  download: "Download as NDJSON",
  needsRange: "Choose streams and a start time first.",
  cancel: (bytes) => `Cancel, ${(bytes / 1e6).toFixed(1)} MB so far`,
  saved: (n) => `Saved ${count(n)} events.`,
  savedPart: (n) => `Saved the first ${count(n)} events; the range has more.`,
  clear: "Clear",
  pause: "Pause",
  resume: "Resume",
  retry: "Try again",
  state: {
    idle: "No stream chosen",
    connecting: "Connecting",
    live: "Live",
    behind: "Catching up",
    waiting: "Waiting",
    paused: "Paused",
    lost: "Connection lost, trying again",
    busy: "The server asks to wait",
    refused: "Refused",
    ended: "The stream has ended",
  },
  events: (n) => `${count(n)} ${n === 1 ? "event" : "events"}`,
  lag: (ms) => `newest ${duration(ms)} old`,
  looked: (scanned, matched) => `${count(matched)} of ${count(scanned)} match`,
  again: (ms) => ` Next attempt in ${Math.ceil(ms / 1000)} s.`,
  emptyTitle: "Events, as they happen",
  emptyText: "A stream sends a small JSON document for each event of its kind: an edit, a new "
    + "page, a log entry. Choose streams, then narrow them down. The server filters, and "
    + "this page shows the command that reads the same events.",
  begin: (name) => `Start with ${name}`,
  language: "Language of the example",
  snippet: "Example code",
  copy: "Copy",
  copied: "Copied",
  plot: "Events per second in the last two minutes",
  legend: (name, perSecond, total) => `${name} ${rate(perSecond)}, ${count(total)} in all`,
  columns: ["Time, UTC", "Stream", "Wiki", "Title", "User", "Type", "Bytes"],
  untitled: "(no title)",
  newer: (n) => `${count(n)} new: back to the newest`,
  dropped: (n) => `Older ones dropped: ${count(n)}`,
  detail: "The event",
  page: "Page on the wiki",
  alone: "This event alone",
  copyJson: "Copy JSON",
  close: "Close",
  more: (n) => `${count(n)} more`,
};
