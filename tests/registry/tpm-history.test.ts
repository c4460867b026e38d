import assert from 'node:assert/strict'
import test from 'node:test'
import type { TpmState } from '#protocol'
import { continuesHistory } from '../../registry/tpm-history.js'

const before: TpmState = {
  ...{ akName: new Uint8Array(34), firmware: '0000000000000001' },
  ...{ resetCount: 7, restartCount: 3, clock: 1_000_000, safe: true },
}

const cases: readonly (readonly [what: string, now: Partial<TpmState>, continues: boolean])[] = [
  ['nothing has changed', {}, true],
  ['time has passed', { clock: 1_000_001 }, true],
  ['time went back', { clock: 999_999 }, false],
  ['it slept and woke', { restartCount: 4, clock: 999_999 }, true],
  ['fewer restarts than before', { restartCount: 2, clock: 2_000_000 }, false],
  ['it was switched off and on', { resetCount: 8, restartCount: 0, clock: 1_000_500 }, true],
  ['a power cut took some of its clock', { resetCount: 8, restartCount: 0, clock: 426, safe: false }, true],
  ['it lost its clock and says it did not', { resetCount: 8, restartCount: 0, clock: 426 }, false],
  ['fewer resets than before', { resetCount: 6, clock: 2_000_000 }, false],
]

for (const [what, now, continues] of cases) {
  test(`a TPM's history ${continues ? 'goes on' : 'breaks'} when ${what}`, () => {
    assert.equal(continuesHistory(before, { ...before, ...now }), continues)
  })
}
