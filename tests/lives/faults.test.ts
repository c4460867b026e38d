import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { RegistryError } from '#registry'
import { CertificateLines } from '../../registry/certificate-lines.js'
import { Commits } from '../../registry/commits.js'
import { LockGate } from '../../registry/locks/lock-gate.js'
import { replace } from '../replace.js'
import { live } from './live.js'

/* A test that never fails says nothing: each of these takes one rule away, and the lives have to find out. */

const atMost = 1000
const stepsEach = 60

const faults: Readonly<Record<string, (t: TestContext) => void>> = {
  'a copy is refused, and that is all': (t) =>
    replace(t, CertificateLines.prototype, 'lockClone', () =>
      Promise.reject(new RegistryError('CLONE_SUSPECTED', 'there are two')),
    ),
  'a lock keeps nobody out': (t) => replace(t, LockGate.prototype, 'keepsOut', () => undefined),
  'nobody waits for the disk before an answer': (t) =>
    replace(t, Commits.prototype, 'add', (_, add, applied, rows) => {
      void add(applied, rows).catch(() => undefined)
      return Promise.resolve()
    }),
  'the first use of a certificate is not noticed': (t) =>
    replace(t, CertificateLines.prototype, 'promote', () => Promise.resolve()),
}

for (const [what, begin] of Object.entries(faults)) {
  test(`the lives find out when ${what}`, async (t) => {
    begin(t)
    for (let seed = 1; seed <= atMost; seed++) {
      const { wrong } = await live(seed, stepsEach)
      if (wrong !== undefined) return t.diagnostic(`seed ${seed}: ${wrong.slice(0, 200)}`)
    }
    assert.fail(`not in ${atMost} lives`)
  })
}
