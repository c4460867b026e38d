// Compiles everything anew into dist/ and makes the programs there executable, as npm does for an installed package.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'

rmSync('dist', { recursive: true, force: true })
const compiled = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc'], { stdio: 'inherit' })
if (compiled.status !== 0) process.exit(compiled.status ?? 1)
for (const program of ['touchmark', 'touchmark-agent']) chmodSync(`dist/bin/${program}.js`, 0o755)
