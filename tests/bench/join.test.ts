import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, ['dist/bench/join/main.js', ...args], { encoding: 'utf8' })

test('the benchmark of joins still runs: every device that comes, by token and by TPM, is let in', () => {
  const few = ['--rounds', '1', '--joins', '8', '--at-once', '2', '--seconds', '0.1']
  const { status, stdout, stderr } = bench(...few)
  assert.equal(status, 0, stdout + stderr)
  for (const row of [
    'token joins, 2 at a time',
    'token joins, at half of that',
    'TPM joins, 2 at a time',
    'TPM joins, at half of that',
    'floor: bare TLS 1.3 handshakes',
    'floor: bare P-256 signatures',
    'TPM joins at full rate',
    'TPM join: TLS and sockets',
  ]) {
    assert.match(stdout, new RegExp(`^\\| ${row} \\| [\\d,.]+ \\|`, 'm'))
  }
})

test('the benchmark of joins explains itself, and refuses what it does not know', () => {
  assert.equal(bench('--help').status, 0)
  assert.equal(bench('--only', 'unheard-of').status, 2)
  assert.equal(bench('--joins', 'many').status, 2)
})
