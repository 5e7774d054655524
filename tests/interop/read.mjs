// Reads a stream to its end with fetch: URL CODING. Runs in Node and, through page.html, in a browser.
// CODING `default` leaves the request headers to fetch.
export async function read(url, headers, coding) {
  const response = await fetch(url, { headers });
  if (coding !== "default" && response.headers.get("content-encoding") !== coding) throw new Error("not compressed");
  let text = "", count = 0, late = 0;
  const begun = Date.now(), offsets = {}, decoder = new TextDecoder(), reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    const lines = text.split("\n");
    text = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('data: {"$schema')) continue;
      const { meta } = JSON.parse(line.slice(6)), log = `${meta.topic} ${meta.partition}`;
      count += 1;
      // A browser is busy at first.
      if (Date.now() - begun > 5000) late = Math.max(late, Date.now() - Date.parse(meta.dt));
      if (log in offsets && offsets[log] !== meta.offset) throw new Error(`${log} continues at ${meta.offset}, not at ${offsets[log]}`);
      offsets[log] = meta.offset + 1;
    }
  }
  return `${count} events, ${late / 1000} s late at most${count >= 100 && late < 2000 ? " ok" : ""}`;
}

if (globalThis.process) {
  const [url, coding] = process.argv.slice(2);
  const result = await read(url, coding === "default" ? {} : { "accept-encoding": coding }, coding);
  console.log(`Node ${process.versions.node}, undici ${process.versions.undici}, ${result}`);
}
