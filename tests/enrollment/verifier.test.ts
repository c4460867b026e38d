import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { Enrollment, EnrollmentError, VerifierPool } from '#enrollment'
import type { TpmJoinRequest } from '#protocol'
import { Lanes } from '../../enrollment/verifier/lanes.js'
import type { VerifierPoolOptions } from '../../enrollment/verifier/pool.js'
import { verifyHere } from '../../enrollment/verifier/verifier.js'
import { deadly, endless } from './fragile-verifier.js'
import { bitFlipped, variants } from './hostile-evidence.js'
import {
  createEnrollmentWorld,
  derOf,
  evidenceOf,
  joinWithTpm,
  makeToken,
  newChannel,
  openDevice,
  refusals,
  renewalOf,
  softwareKey,
} from './world.js'

const fragile = new URL('./fragile-verifier.js', import.meta.url)
const busy = { code: 'BUSY', retryAfterSeconds: 1 }
const failed = { code: 'VERIFIER_FAILED', retryAfterSeconds: 1 }

function openPool(t: TestContext, options: Partial<VerifierPoolOptions> = {}) {
  const warnings: string[] = []
  const pool = new VerifierPool({
    makers: { ek: [], idevid: [] },
    warn: (sentence) => void warnings.push(sentence),
    ...options,
  })
  t.after(() => pool.close())
  const read = (csr: Uint8Array) => pool.verify('csr', csr, 'proven')
  return { pool, warnings, read }
}

/** Enrollment whose asymmetric work another thread does. */
async function openWorld(t: TestContext, script?: URL) {
  const world = await createEnrollmentWorld(t)
  const warnings: string[] = []
  const warn = (sentence: string) => void warnings.push(sentence)
  const enrollment = new Enrollment({
    ...world.options,
    openVerifier: (makers) => new VerifierPool({ makers, warn, ...(script && { script }) }),
  })
  t.after(() => enrollment.close())
  return { ...world, enrollment, warnings }
}

test('a device joins by its TPM, and renews with evidence, while another thread verifies', async (t) => {
  const world = await openWorld(t)
  const { text } = await makeToken(world)
  const device = await openDevice(await world.openTpm())
  const joined = await joinWithTpm(world, device, text)
  assert.equal(joined.deviceId, `tpm-${device.ekHash.slice(0, 12)}`)
  const channel = newChannel()
  const evidence = await renewalOf(device, { channel: channel.exporter })
  const renewed = await world.enrollment.renew(derOf(joined), evidence, channel)
  assert.equal(renewed.instanceId, joined.instanceId)
})

test('what a thread shows is what the same work shows here', async (t) => {
  const { read } = openPool(t)
  const here = verifyHere({ ek: [], idevid: [] })
  const { csr } = await softwareKey()
  assert.deepEqual(await read(csr), await here.verify('csr', csr, 'proven'))
  await assert.rejects(read(new Uint8Array(3)), { code: 'CSR_INVALID' })
})

test('hostile evidence gets the same refusals from a thread as from the same work here', async (t) => {
  const world = await createEnrollmentWorld(t)
  const device = await openDevice(await world.openTpm())
  const channel = newChannel()
  const good = await evidenceOf(device, { channel: channel.exporter })
  const codeOf = (enrollment: Enrollment, request: TpmJoinRequest) =>
    enrollment.beginTpmJoin(request, channel).then(
      () => 'challenged',
      (error: unknown) => (error instanceof EnrollmentError ? error.code : String(error)),
    )
  const thread = new Enrollment({ ...world.options, openVerifier: (makers) => openPool(t, { makers }).pool })
  for (const [part, hostile] of variants(good, ['ekPublic', 'akPublic', 'keyPublic'], everyTenth)) {
    const request = { ...good, ...hostile }
    assert.equal(await codeOf(thread, request), await codeOf(world.enrollment, request), part)
  }
})

function everyTenth(bytes: Uint8Array): readonly Uint8Array[] {
  return bitFlipped(bytes).filter((_, at) => at % 10 === 0)
}

test('a join over which the thread ends is told to come again, is on record, and the next one goes through', async (t) => {
  const world = await openWorld(t, fragile)
  const { text } = await makeToken(world)
  await assert.rejects(world.enrollment.joinWithToken(text, { csr: deadly }, newChannel()), failed)
  assert.deepEqual(refusals(world), ['VERIFIER_FAILED'])
  assert.match(world.warnings.join(), /started anew/)
  const { csr } = await softwareKey()
  assert.ok((await world.enrollment.joinWithToken(text, { csr }, newChannel())).certificate)
})

test('what a thread had not begun when it ended is done by the next', async (t) => {
  const { read, warnings } = openPool(t, { script: fragile })
  const { csr } = await softwareKey()
  await read(csr)
  const [lost, ...others] = await Promise.allSettled([deadly, csr, csr, csr].map(read))
  assert.ok(lost?.status === 'rejected')
  assert.deepEqual(
    others.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'fulfilled'],
  )
  assert.equal(warnings.length, 1)
})

test('a thread that gives no answer in time is ended, and the next one answers', async (t) => {
  let runOut: () => void = () => undefined
  const timer = (milliseconds: number, then: () => void) => {
    assert.equal(milliseconds, 1234)
    runOut = then
    const keepsGoing = setInterval(() => undefined, 60_000)
    return () => clearInterval(keepsGoing)
  }
  const { read, warnings } = openPool(t, { script: fragile, bounds: { answerMs: 1234 }, timer })
  const { csr } = await softwareKey()
  await read(csr)
  const stuck = read(endless)
  const behind = read(csr)
  runOut()
  await assert.rejects(stuck, failed)
  assert.ok(await behind)
  assert.match(warnings.join(), /no answer within 1234 ms/)
})

test('where no thread can be started every join is told so, and none hangs', async (t) => {
  const { read, warnings } = openPool(t, { script: new URL('./nothing-here.js', import.meta.url) })
  const { csr } = await softwareKey()
  for (const result of await Promise.allSettled([csr, csr, csr, csr].map(read))) {
    assert.ok(result.status === 'rejected')
    assert.equal((result.reason as EnrollmentError).code, 'VERIFIER_FAILED')
  }
  assert.ok(warnings.length > 0)
})

test('what cannot travel to a thread fails alone', async (t) => {
  const { read } = openPool(t)
  const { csr } = await softwareKey()
  const gone = Uint8Array.from(csr)
  structuredClone(gone.buffer, { transfer: [gone.buffer] })
  const [one, other] = await Promise.allSettled([read(gone), read(csr)])
  assert.deepEqual([one.status, other.status], ['rejected', 'fulfilled'])
})

test('more than may wait are told when to come again, and who waits at the end is told too', async (t) => {
  const { pool, read } = openPool(t, { script: fragile, bounds: { waiting: 3 } })
  const inside = Array.from({ length: 5 }, () => read(endless)) // two at hand, three that wait
  await assert.rejects(read(endless), busy)
  const told = Promise.allSettled(inside)
  await pool.close()
  for (const result of await told) {
    assert.ok(result.status === 'rejected')
    assert.equal((result.reason as EnrollmentError).code, 'BUSY')
  }
  await assert.rejects(read(endless), busy)
})

test('a service that stops refuses what is still verified, with a record of it', async (t) => {
  const world = await openWorld(t, fragile)
  const { text } = await makeToken(world)
  const joining = assert.rejects(world.enrollment.joinWithToken(text, { csr: endless }, newChannel()), busy)
  await world.enrollment.close()
  await joining
  assert.deepEqual(refusals(world), ['BUSY'])
})

test('who has proven something goes first, and yet no stranger waits for all of them', () => {
  const lanes = new Lanes<string>()
  lanes.push('stranger', 'stranger 1')
  lanes.push('stranger', 'stranger 2')
  for (let at = 1; at <= 6; at++) lanes.push('proven', `proven ${at}`)
  lanes.putBack('proven', 'proven 0')
  const order = Array.from({ length: lanes.size }, () => lanes.take())
  assert.deepEqual(order, [
    ...['proven 0', 'proven 1', 'proven 2', 'proven 3', 'stranger 1'],
    ...['proven 4', 'proven 5', 'proven 6', 'stranger 2'],
  ])
  assert.equal(lanes.take(), undefined)
})
