import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

const program = 'dist/bench/broker.js'

const bench = (...args: readonly string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })

test('the broker benchmark still runs against this broker, and finds every message in its log', () => {
  const few = ['--rounds', '1', '--seconds', '0.2', '--connections', '100']
  const only = ['touchmark', 'fan-in-qos1-w20', 'fan-out', 'connect', 'idle'].flatMap((name) => ['--only', name])
  const { status, stdout, stderr } = bench(...few, ...only)
  assert.equal(status, 0, stdout + stderr)
  for (const broker of ['touchmark-strict', 'touchmark-relaxed', 'touchmark-committed']) {
    assert.match(stdout, new RegExp(`^\\| ${broker} \\| [\\d,]+ \\| – \\|.* messages \\|$`, 'm'))
    assert.match(stdout, new RegExp(`^\\| ${broker} \\| -?[\\d.]+ \\|$`, 'm'))
  }
})

test('the broker benchmark explains itself, and refuses what it does not know', () => {
  assert.equal(bench('--help').status, 0)
  assert.equal(bench('--only', 'unheard-of').status, 2)
  assert.equal(bench('--rounds', 'many').status, 2)
})
