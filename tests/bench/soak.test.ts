import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'
import { judgeFlatness } from '../../bench/soak/flatness.js'

const megabytes = (count: number) => count * 1024 * 1024

test('the soak still runs: devices come and go, nothing is lost, and the log verifies', () => {
  const args = ['dist/bench/soak/main.js', '--minutes', '0.03', '--rate', '500']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stderr, /[1-9]\d* records verified/)
})

test('memory that swings around the same height is flat', () => {
  const samples = Array.from({ length: 30 }, (_, minute) =>
    megabytes(minute < 10 ? 50 + 10 * minute : 200 + (minute % 3) * 40),
  )
  assert.equal(judgeFlatness(samples).flat, true)
})

test('memory that grows by a little every minute is not flat', () => {
  const samples = Array.from({ length: 30 }, (_, minute) => megabytes(200 + 8 * minute))
  assert.equal(judgeFlatness(samples).flat, false)
})
