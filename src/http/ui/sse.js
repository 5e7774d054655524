// Server-Sent Events out of text in pieces of any size (HTML standard, section 9.2.6).

export class Parser {
  /** The id to continue after. */
  lastEventId = "";
  #rest = "";
  #endsWithCr = false;
  #type = "";
  #data = "";
  #id = "";

  /** `on.event(type, data)`, `on.comment(text)`, `on.retry(ms)`. */
  constructor(id, on) {
    this.lastEventId = this.#id = id;
    this.on = on;
  }

  push(text) {
    if (text === "") return;
    // The second half of a CRLF that was cut in two.
    if (this.#endsWithCr && text[0] === "\n") text = text.slice(1);
    this.#endsWithCr = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    lines.forEach((line) => this.#take(line));
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return this.on.comment(line.slice(1).trim());
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data += `${value}\n`;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.on.retry(Number(value));
  }

  #dispatch() {
    const [type, data] = [this.#type || "message", this.#data];
    this.#type = this.#data = "";
    this.lastEventId = this.#id;
    if (data !== "") this.on.event(type, data.slice(0, -1));
  }
}
