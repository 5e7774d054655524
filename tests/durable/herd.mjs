// herd.mjs CLIENTS SECONDS: so many clients read on by long poll, as the clients of the protocol do. Prints the events that
// each of them got, and how far they are apart.
import http from "node:http"

const [clients, seconds] = process.argv.slice(2).map(Number)
const url = `${process.env.DURABLE_URL}/v1/stream/${process.env.STREAM ?? "recentchange"}`
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity })
const end = Date.now() + seconds * 1000
const head = await fetch(url, { method: "HEAD" })
const start = head.headers.get("stream-next-offset")

function get(query) {
  return new Promise((resolve, reject) => {
    const request = http.get(`${url}?${query}`, { agent }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text) => (body += text))
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    request.on("error", reject)
    request.setTimeout(60000, () => request.destroy(new Error("timeout")))
  })
}

async function client() {
  let [offset, cursor, events, requests] = [start, "", 0, 0]
  // They do not come at once.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 5000))
  while (Date.now() < end) {
    const echo = cursor && `cursor=${cursor}&`
    const response = await get(`${echo}live=long-poll&offset=${offset}`)
    requests += 1
    if (![200, 204].includes(response.status)) throw new Error(`${response.status}: ${response.body}`)
    if (response.status === 200) events += JSON.parse(response.body).length
    offset = response.headers["stream-next-offset"]
    cursor = response.headers["stream-cursor"]
  }
  return { events, requests }
}

const all = await Promise.all(Array.from({ length: clients }, client))
const sum = (name) => all.reduce((total, one) => total + one[name], 0)
const events = all.map((one) => one.events)
console.log(`${clients} clients, ${sum("requests")} requests, ${Math.min(...events)} to ${Math.max(...events)} events each`)
process.exit(0)
