// Reads a stream with fetch, which, unlike EventSource, shows what the server answers when it does
// not send events. Reconnects after the last id, so that nothing is missed and nothing comes twice.

import { Parser } from "./sse.js";

const BACKOFF_MAX_MS = 30_000;
/** The server sends a heartbeat at least this often, by default every 15 s. */
const SILENCE_MAX_MS = 90_000;

export class Reader {
  /** Where a stop left off; empty before the first id. */
  lastEventId = "";
  #stop = null;
  #retryMs = 1000;
  #failures = 0;

  /**
   * `address(id)` is the URL that continues after an id. `on` has `open(response)`,
   * `received(type, data)`, `comment(text)` and `state(name, {problem, waitMs})`. The names are
   * `connecting`, `lost` and `busy` (both try again), `refused` and `ended` (both are final).
   */
  constructor(address, on) {
    this.address = address;
    this.on = on;
  }

  get isRunning() {
    return this.#stop !== null;
  }

  start() {
    if (this.#stop) return;
    this.#stop = new AbortController();
    this.on.state("connecting", {});
    this.#run(this.#stop.signal);
  }

  /** Nothing is passed on any more; `start` continues after the last event that was. */
  stop() {
    this.#stop?.abort();
    this.#stop = null;
  }

  async #run(stopped) {
    while (!stopped.aborted) {
      const outcome = await this.#connect(stopped).catch(() => ({ state: "lost" }));
      if (stopped.aborted) return;
      if (outcome.state === "refused" || outcome.state === "ended") {
        this.#stop = null;
        return this.on.state(outcome.state, outcome);
      }
      const backoff = Math.min(this.#retryMs * 2 ** this.#failures++, BACKOFF_MAX_MS);
      // Clients of a server that restarts do not come back all at once.
      const waitMs = outcome.waitMs ?? backoff * (0.5 + Math.random() / 2);
      this.on.state(outcome.state, { ...outcome, waitMs });
      await new Promise((resolve) => {
        setTimeout(resolve, waitMs);
        stopped.addEventListener("abort", resolve, { once: true });
      });
    }
  }

  /** One connection, until it ends. */
  async #connect(stopped) {
    const silence = new AbortController();
    const signal = AbortSignal.any([stopped, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
    try {
      const headers = { accept: "text/event-stream" };
      const url = this.address(this.lastEventId);
      const response = await fetch(url, { headers, signal, cache: "no-store" });
      if (response.status === 204) return { state: "ended" };
      if (!response.ok) return refusal(response, await problemOf(response));
      this.on.open(response);
      let outcome = { state: "lost" };
      const parser = new Parser(this.lastEventId, {
        comment: (text) => this.on.comment(text),
        retry: (ms) => { this.#retryMs = ms; },
        event: (type, data) => {
          this.#failures = 0;
          this.lastEventId = parser.lastEventId;
          if (type === "end") outcome = { state: "ended" };
          else if (type === "error") outcome = refusal(response, parsed(data));
          else this.on.received(type, data);
        },
      });
      const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await text.read();
        if (done || stopped.aborted) return outcome;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
        parser.push(value);
        this.lastEventId = parser.lastEventId;
      }
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }
}

/** What a problem means for the client: wait and try again, or give up. */
function refusal(response, problem) {
  const status = problem.status ?? response.status;
  if (status !== 429 && status < 500) return { state: "refused", problem };
  const seconds = Number(response.headers.get("retry-after"));
  return { state: "busy", problem, waitMs: seconds > 0 ? seconds * 1000 : undefined };
}

/** The problem that a response has (RFC 9457), or one made of its status line. */
export async function problemOf(response) {
  const made = { status: response.status, title: `${response.status} ${response.statusText}` };
  return { ...made, ...parsed(await response.text().catch(() => "")) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
