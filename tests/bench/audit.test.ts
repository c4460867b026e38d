import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, ['dist/bench/audit/main.js', ...args], { encoding: 'utf8' })

test('the benchmark of the audit log still runs, and its log verifies', () => {
  const { status, stdout, stderr } = bench('--rounds', '1', '--records', '2000', '--seconds', '0.05')
  assert.equal(status, 0, stdout + stderr)
  for (const row of [
    'leaf per record',
    'blocks of 250 records',
    'floor',
    '100 records per second',
    '50,000 records per second',
  ]) {
    assert.match(stdout, new RegExp(`^\\| ${row} \\| [\\d,.]+ \\| [\\d,.]+ \\|`, 'm'))
  }
})

test('the benchmark of the audit log gives every run as JSON, of the parts that were asked for', () => {
  const { stdout } = bench('--rounds', '2', '--records', '1000', '--only', 'pipeline', '-o', 'json')
  const { runs } = JSON.parse(stdout) as { runs: readonly { part: string; round: number; row: string }[] }
  assert.deepEqual(
    runs.map(({ part, round, row }) => [part, round, row]),
    [0, 1].flatMap((round) =>
      ['leaf per record', 'floor', 'blocks of 250 records'].map((row) => ['pipeline', round, row]),
    ),
  )
})

test('the benchmark of the audit log explains itself, and refuses what it does not know', () => {
  assert.equal(bench('--help').status, 0)
  assert.equal(bench('--only', 'unheard-of').status, 2)
  assert.equal(bench('--records', 'many').status, 2)
})
