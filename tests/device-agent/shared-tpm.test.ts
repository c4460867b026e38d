import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { openSoftwareTpm } from '#simulators'
import { type Tpm, TpmError } from '#tpm'
import { SharedTpm, type SharedTpmOptions } from '../../device-agent/shared-tpm.js'
import { SignatureSlot } from '../../device-agent/tpm-tls-messages.js'
import { temporaryFolder } from './temporary-folder.js'

/** A TPM in software, how often it was opened, and how many were open at the same time at most. */
function share(t: TestContext, over: Partial<SharedTpmOptions> = {}) {
  const folder = temporaryFolder(t)
  const seen = { opened: 0, open: 0, most: 0 }
  const open = async (): Promise<Tpm> => {
    seen.opened++
    seen.most = Math.max(seen.most, ++seen.open)
    const tpm = await openSoftwareTpm({ folder, now: () => 0 })
    const close = tpm.close.bind(tpm)
    tpm.close = async () => {
      await close()
      seen.open--
    }
    return tpm
  }
  const shared = new SharedTpm({ open, ...over })
  return { shared, seen }
}

test('a TPM is opened once for those who use it together, and let go of when nobody does', async (t) => {
  const { shared, seen } = share(t, { idleMs: 0 })
  await Promise.all([1, 2, 3].map(() => shared.use((tpm) => tpm.attestationKey())))
  assert.equal(seen.opened, 1)
  while (seen.open > 0) await new Promise((resolve) => setImmediate(resolve))
  await shared.use((tpm) => tpm.attestationKey())
  assert.deepEqual([seen.opened, seen.most], [2, 1])
  await shared.close()
})

test('after a failure it is opened anew, and never twice at a time', async (t) => {
  const { shared, seen } = share(t)
  const failed = new TpmError('TPM_UNREACHABLE', 'unplugged')
  for (let times = 0; times < 3; times++)
    await assert.rejects(
      shared.use(() => Promise.reject(failed)),
      failed,
    )
  await shared.use((tpm) => tpm.attestationKey())
  assert.deepEqual([seen.opened, seen.most], [4, 1])
  await shared.close()
})

test('a TPM that cannot be opened is tried again at the next use', async () => {
  let tries = 0
  const shared = new SharedTpm({
    open: () => Promise.reject(new TpmError('TPM_UNREACHABLE', `not there, ${++tries} times`)),
  })
  for (const _ of [1, 2])
    await assert.rejects(
      shared.use((tpm) => tpm.attestationKey()),
      { code: 'TPM_UNREACHABLE' },
    )
  assert.equal(tries, 2)
  await shared.close()
})

test('a use that hangs ends all the same, by its time or when all is closed', async (t) => {
  const never = () => new Promise<never>(() => undefined)
  const short = share(t, { mostMs: 5 })
  await assert.rejects(short.shared.use(never), { code: 'KEY_UNAVAILABLE' })
  await short.shared.close()

  const { shared } = share(t)
  const hanging = assert.rejects(shared.use(never), { code: 'KEY_UNAVAILABLE' })
  await shared.close()
  await hanging
  await assert.rejects(shared.use(never), { code: 'KEY_UNAVAILABLE' })
})

test('a signature that comes too late is not taken for the next one', () => {
  const slot = new SignatureSlot()
  let late = 0
  assert.equal(
    slot.ask((ticket) => (late = ticket), 1),
    undefined,
  )
  const right = Uint8Array.of(1, 2, 3)
  const signature = slot.ask((ticket) => {
    slot.answer(late, Uint8Array.of(9, 9))
    slot.answer(ticket, right)
  })
  assert.deepEqual(signature, right)
  assert.equal(
    slot.ask((ticket) => slot.answer(ticket, new Uint8Array())),
    undefined,
    'the TPM refused',
  )
})
