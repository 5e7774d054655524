// judge.mjs RESULTS NOT_OURS: fails unless the tests that failed are those that do not apply.
import { readFileSync } from "node:fs"

// So many tests the groups have in this version of the suite. Fewer: a group was not found.
const TESTS = 107

const [results, notOurs] = process.argv.slice(2)
const lines = readFileSync(notOurs, "utf8").split("\n")
const listed = new Set(lines.filter((line) => line && !line.startsWith("#")))
const tests = JSON.parse(readFileSync(results, "utf8")).testResults.flatMap((file) => file.assertionResults)
const ran = tests.filter((test) => ["passed", "failed"].includes(test.status))
const wrong = []
for (const test of ran) {
  if (test.status === "failed" && !listed.has(test.fullName)) {
    wrong.push(`failed: ${test.fullName}\n  ${test.failureMessages.join("\n").split("\n")[0]}`)
  }
  if (test.status === "passed" && listed.has(test.fullName)) wrong.push(`listed, but it passes: ${test.fullName}`)
}
for (const name of listed) if (!ran.some((test) => test.fullName === name)) wrong.push(`listed, but it did not run: ${name}`)
if (ran.length !== TESTS) wrong.push(`${ran.length} tests ran, not ${TESTS}`)
const passed = ran.filter((test) => test.status === "passed").length
console.log(`${passed} of ${ran.length} tests of the conformance suite passed; ${listed.size} do not apply`)
for (const line of wrong) console.log(line)
process.exit(wrong.length > 0 ? 1 : 0)
