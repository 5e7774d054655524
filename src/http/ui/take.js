// The chosen events elsewhere: as code, and as a file.

import { byId, element } from "./dom.js";
import { problemOf } from "./reader.js";
import { texts } from "./texts.js";
import { streamUrl } from "./url.js";

/** The only variable part is a URL in which every character that means something to a shell or in a
 * string is escaped (url.js). */
export const LANGUAGES = {
  curl: (url) => `curl -N '${url}'`,

  JavaScript: (url) => `const source = new EventSource("${url}");
source.onmessage = ({ data }) => console.log(JSON.parse(data));
source.addEventListener("end", () => source.close());`,

  Python: (url) => `import json
from requests_sse import EventSource  # pip install requests-sse

with EventSource("${url}") as source:
    for event in source:
        if event.type == "message":
            print(json.loads(event.data))`,

  Go: (url) => `package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
)

func main() {
	response, err := http.Get("${url}")
	if err != nil {
		panic(err)
	}
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadString('\\n')
		if err != nil {
			panic(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			fmt.Print(data)
		}
	}
}`,

  Rust: (url) => `// cargo add ureq
use std::io::{BufRead, BufReader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let response = ureq::get("${url}").call()?;
    for line in BufReader::new(response.into_body().into_reader()).lines() {
        if let Some(data) = line?.strip_prefix("data: ") {
            println!("{data}");
        }
    }
    Ok(())
}`,
};

/** A browser keeps a download in memory until it is whole. */
const EVENTS_MAX = 100_000;
const BYTES_MAX = 100e6;

let running = null;

/** Starts the download, or cancels the one that runs. `now` is the server's time. */
export async function download(choice, now) {
  if (running) return running.abort();
  running = new AbortController();
  byId("downloaded").textContent = await run(choice, now, running.signal).catch(String);
  byId("download").textContent = texts.download;
  running = null;
}

/** Returns the words that tell what came of it. */
async function run(choice, now, signal) {
  if (!choice.streams.length || !(choice.since || choice.lastEventId)) return texts.needsRange;
  const until = choice.until || new Date(now).toISOString();
  const url = new URL(streamUrl({ ...choice, until }));
  url.searchParams.set("limit", EVENTS_MAX);
  const response = await fetch(url, { headers: { accept: "application/x-ndjson" }, signal });
  if (!response.ok) return (await problemOf(response)).detail;
  const chunks = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    bytes += chunk.length;
    byId("download").textContent = texts.cancel(bytes);
    if (bytes > BYTES_MAX) break;
  }
  // Whole lines, without heartbeats.
  const text = await new Blob(chunks).text();
  const lines = text.split("\n").filter((line) => line.endsWith("}"));
  const href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`]));
  element("a", { href, download: `${choice.streams}.ndjson` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
  const isPart = bytes > BYTES_MAX || lines.length === EVENTS_MAX;
  return (isPart ? texts.savedPart : texts.saved)(lines.length);
}
