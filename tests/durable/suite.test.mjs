// The conformance suite as its package has it, against the server at DURABLE_URL.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"

runConformanceTests({ baseUrl: process.env.DURABLE_URL })
