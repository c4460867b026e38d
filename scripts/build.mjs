// Compiles everything anew into dist/, tells the agent when that was, and makes the programs there executable, as npm does
// for an installed package.
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const compiled = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc'], { stdio: 'inherit' })
if (compiled.status !== 0) process.exit(compiled.status ?? 1)
for (const program of ['touchmark', 'touchmark-agent']) chmodSync(`dist/bin/${program}.js`, 0o755)
await import('./declare-library.mjs')

const buildTime = timeOfSource()
if (buildTime !== undefined) {
  const file = 'dist/device-agent/build-time.js'
  writeFileSync(file, readFileSync(file, 'utf8').replace(/'\d{4}-[^']*'/, `'${buildTime}'`))
}

/**
 * The same whoever builds the same source: what the builder says (reproducible-builds.org), or the day of the commit. Cut to
 * the day, so that a machine whose clock is a little behind that of whoever committed is not taken for one in the past.
 */
function timeOfSource() {
  const git = () => spawnSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).stdout?.trim()
  const seconds = Number(process.env.SOURCE_DATE_EPOCH || git() || NaN)
  return Number.isInteger(seconds) && seconds > 0
    ? `${new Date(seconds * 1000).toISOString().slice(0, 10)}T00:00:00Z`
    : undefined
}
