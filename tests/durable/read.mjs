// read.mjs EVENTS RESUMES: reads that many events with the unchanged client, by long poll and SSE in turn, each time from
// the offset where it stopped. Fails if an event is missing or comes twice.
import { stream } from "@durable-streams/client"

const [events, resumes] = process.argv.slice(2).map(Number)
const url = `${process.env.DURABLE_URL}/v1/stream/recentchange`
const next = new Map() // the next offset of each partition
let offset = "-1"
let read = 0

function take(event) {
  const { topic, partition, offset } = event.meta
  const name = `${topic}/${partition}`
  const expected = next.get(name) ?? offset
  if (offset !== expected) throw new Error(`${name}: offset ${offset}, expected ${expected}`)
  next.set(name, offset + 1)
}

for (let resume = 0; resume <= resumes; resume++) {
  const live = resume % 2 === 0 ? "long-poll" : "sse"
  const enough = Math.ceil((events * (resume + 1)) / (resumes + 1))
  const stop = new AbortController()
  const response = await stream({ url, offset, live, signal: stop.signal })
  const before = read
  await new Promise((resolve, reject) => {
    response.subscribeJson(async (batch) => {
      if (stop.signal.aborted) return
      try {
        batch.items.forEach(take)
      } catch (error) {
        reject(error)
      }
      read += batch.items.length
      offset = batch.offset
      if (read >= enough) {
        stop.abort()
        resolve()
      }
    })
  })
  console.log(`${live}: ${read - before} events`)
}
console.log(`${read} events over ${resumes} resumes, none missing, none twice`)
process.exit(0)
