import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, ['dist/bench/renewal/main.js', ...args], { encoding: 'utf8' })

test('the benchmark of renewals still runs: every device renews, and a herd is in again', () => {
  const few = ['--rounds', '1', '--renewals', '8', '--at-once', '2', '--herd', '24', '--within', '1']
  const { status, stdout, stderr } = bench(...few, '--registered', '200')
  assert.equal(status, 0, stdout + stderr)
  for (const row of [
    'renewals, 2 at a time',
    'renewals, at half of that',
    '24 devices within 1 s',
    'the same, and strangers at the door',
    '2 devices',
    '200 devices',
  ]) {
    assert.match(stdout, new RegExp(`^\\| ${row} \\| [\\d,.]+ \\| [\\d,.]+ \\|`, 'm'))
  }
})

test('the benchmark of renewals explains itself, and refuses what it does not know', () => {
  assert.equal(bench('--help').status, 0)
  assert.equal(bench('--only', 'unheard-of').status, 2)
  assert.equal(bench('--herd', 'many').status, 2)
})
