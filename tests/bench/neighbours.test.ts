import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

test('the benchmark of neighbours still runs, and nothing that was acknowledged is lost', () => {
  const args = ['dist/bench/neighbours/main.js', '--seconds', '0.3', '--only', 'CONNECT']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  assert.deepEqual([...stdout.matchAll(/^\| CONNECT[^|]* (\| \d+\.\d ){8}\| 0 \| \d+ \|$/gm)].length, 3)
})
