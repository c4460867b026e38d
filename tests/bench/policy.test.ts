import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, ['dist/bench/policy/main.js', ...args], { encoding: 'utf8' })

test('the benchmark of policy still runs, and everybody in it answers rightly', () => {
  const few = ['--rounds', '1', '--seconds', '0.01', '--devices', '100']
  const only = ['decisions', 'containment', 'rendering'].flatMap((part) => ['--only', part])
  const { status, stdout, stderr } = bench(...few, ...only)
  assert.equal(status, 0, stdout + stderr)
  for (const row of [
    'Touchmark, cached',
    'Touchmark, uncached',
    'split and compare, uncached',
    'casbin, uncached',
    'cedar-wasm, uncached',
    '64 × \\+ in 1,024 rules',
    'rights of 100 devices, 20 rules',
  ]) {
    assert.match(stdout, new RegExp(`^\\| ${row} \\| [\\d,.]+ \\| [\\d,.]+ \\|`, 'm'))
  }
})

test('the benchmark of policy still brings up a service with devices, and nobody hears who was revoked', () => {
  const few = ['--rounds', '1', '--seconds', '0.1', '--sessions', '4', '--connected', '4']
  const { status, stdout, stderr } = bench(...few, '--only', 'apply', '--only', 'revoke')
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /^\| 4 sessions, a subscription of each ends \| [\d.]+ \|/m)
  assert.match(stdout, /^\| [12] by a label at once: last socket is closed \| [\d.]+ \| [\d.]+ \| 0\.00 \|$/m)
})

test('the benchmark of policy explains itself, and refuses what it does not know', () => {
  assert.equal(bench('--help').status, 0)
  assert.equal(bench('--only', 'unheard-of').status, 2)
  assert.equal(bench('--sessions', 'many').status, 2)
})
