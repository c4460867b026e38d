// Makes a fresh clone ready and costs a blink afterwards. Plain Node: nothing is installed yet when it runs.
import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'

const notSources = new Set(['node_modules', 'dist', '.git', 'build'])

if (modified('node_modules/.package-lock.json') < modified('package-lock.json')) {
  say('installing dependencies (once)')
  npm('ci', '--no-audit', '--no-fund', '--loglevel=error')
}
if (modified('dist/bin/touchmark.js') < newestSource('.')) {
  say('compiling')
  npm('run', '--silent', 'build')
}

function say(what) {
  process.stderr.write(`touchmark: ${what} …\n`)
}

/** Output goes to stderr, so that stdout stays the caller's own. */
function npm(...args) {
  try {
    execFileSync('npm', args, { stdio: ['ignore', 2, 2] })
  } catch (error) {
    process.stderr.write(`touchmark: "npm ${args.join(' ')}" did not succeed\n`)
    process.exit(error.status ?? 1)
  }
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newestSource(folder) {
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => !notSources.has(entry.name))
  const times = entries.map((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return newestSource(path)
    return /\.ts$|^(package|tsconfig)\.json$/.test(entry.name) ? modified(path) : 0
  })
  return Math.max(0, ...times)
}
