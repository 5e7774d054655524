// Prints the data of 20 events as the message handler of a library gets them: LIBRARY URL.
import { createRequire } from "node:module";
const [name, url] = process.argv.slice(2), library = name.replace("-whole", ""), require = createRequire(`${process.cwd()}/`);
let left = 20;
// The pause of undici before it reconnects keeps no process alive.
setInterval(() => {}, 1000);
const take = (data) => { if (left-- > 0) console.log(data); if (left === 0) process.exit(); };
if (library === "eventsource-client") {
  // It has one handler for all events, and gives their names.
  require(library).createEventSource({ url, onMessage: ({ event, data }) => { if ((event ?? "message") === "message") take(data); } });
} else {
  const module = require(library), EventSource = module.EventSource ?? module;
  const options = library === "launchdarkly-eventsource" ? { initialRetryDelayMillis: 200, errorFilter: () => true } : undefined;
  const source = new EventSource(url, options);
  source.onmessage = ({ data }) => take(data);
  source.onerror = () => {};
}
