import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

test('the benchmark of neighbours still runs, and nothing that was acknowledged is lost', () => {
  const args = ['dist/bench/neighbours/main.js', '--seconds', '0.3', '--only', 'CONNECT']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  assert.deepEqual([...stdout.matchAll(/^\| (calm|CONNECT[^|]*) \|/gm)].length, 6) // three attacks, each with a calm before it
})
