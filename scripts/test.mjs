// npm test [-- PREFIX …]: runs the compiled tests whose path below tests/ begins with a prefix ("ca/", "journeys/revoke").
// The files are named one by one: Node 20 takes no globs after --test, Node 22 and later no folders.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const prefixes = process.argv.slice(2)
const files = readdirSync('dist/tests', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => prefixes.length === 0 || prefixes.some((prefix) => file.startsWith(prefix)))
  .sort()
  .map((file) => `dist/tests/${file}`)

if (files.length === 0) {
  console.error(`no test file begins with ${prefixes.map((prefix) => JSON.stringify(prefix)).join(' or ')}`)
  process.exit(2)
}
const reporter = ['--test-reporter=./scripts/reporter.mjs', '--test-reporter-destination=stdout']
// A file that hangs must not hang whoever waits for all of them; one that is told to do more has more time.
const minutes = process.env.TOUCHMARK_KILLS || process.env.TOUCHMARK_LIVES ? 90 : 5
const options = [
  // V8 compiles and collects in each file's own thread: with helper threads, Node now and then never ends (nodejs/node#54918).
  '--single-threaded',
  `--test-timeout=${minutes * 60_000}`,
  `--test-concurrency=${availableParallelism()}`, // Node takes one fewer, which on two cores is one file after the other
]
const run = spawnSync(process.execPath, ['--test', ...options, '--enable-source-maps', ...reporter, ...files], {
  stdio: 'inherit',
})
process.exit(run.status ?? 1)
