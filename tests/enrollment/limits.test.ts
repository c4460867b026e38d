import assert from 'node:assert/strict'
import test from 'node:test'
import { EnrollmentError } from '#enrollment'
import { Limits } from '../../enrollment/limits.js'
import { Nonces } from '../../enrollment/nonces.js'
import { Refusals } from '../../enrollment/refusals.js'
import { Spent } from '../../enrollment/spent.js'
import { createMemoryAudit } from '#audit'
import { decodePem } from '#x509'
import { createEnrollmentWorld, evidenceOf, makeToken, newChannel, openDevice, refusals, softwareKey } from './world.js'

const clock = { now: Date.parse('2026-01-31T12:00:00Z') }
const now = () => clock.now

test('an address may come in a burst, then at its rate, and is told when to come again', () => {
  const limits = new Limits(now, { perAddress: { burst: 3, perSecond: 0.5 } })
  for (let at = 0; at < 3; at++) limits.arrive('192.0.2.1')
  assert.throws(() => limits.arrive('192.0.2.1'), { code: 'BUSY', retryAfterSeconds: 2 })
  limits.arrive('192.0.2.2')
  clock.now += 2000
  limits.arrive('192.0.2.1')
  clock.now -= 3600_000
  assert.throws(() => limits.arrive('192.0.2.1'), { code: 'BUSY' }) // a clock that was set back gives nothing away
})

test('what is over the limit costs nothing more, so that a flood leaves its neighbours a share', () => {
  const limits = new Limits(now, { perAddress: { burst: 1, perSecond: 1 } })
  limits.arrive('192.0.2.1')
  for (let at = 0; at < 3; at++) {
    clock.now += 333
    assert.throws(() => limits.arrive('192.0.2.1'), { code: 'BUSY' })
  }
  clock.now += 333
  limits.arrive('192.0.2.1')
})

test('a device renews from behind an address that floods us', async (t) => {
  const world = await createEnrollmentWorld(t, { limits: { perAddress: { burst: 2, perSecond: 1 } } })
  const { text } = await makeToken(world)
  const { csr } = await softwareKey()
  const { certificate } = await world.enrollment.joinWithToken(text, { csr }, newChannel('203.0.113.5:1'))
  const [der = assert.fail()] = decodePem(certificate, 'CERTIFICATE')
  const flood = () => world.enrollment.joinWithToken('nonsense', { csr }, newChannel('203.0.113.5:2'))
  await assert.rejects(flood(), { code: 'TOKEN_MALFORMED' })
  await assert.rejects(flood(), { code: 'BUSY' })
  assert.ok(await world.enrollment.renew(der, { csr }, newChannel('203.0.113.5:3')))
})

test('strangers cannot take the share of those who have proven something', async () => {
  const limits = new Limits(now, { concurrent: 4, concurrentStrangers: 2, waiting: 2 })
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  let most = 0
  let working = 0
  const work = (caller: 'stranger' | 'proven') =>
    limits.work(caller, async () => {
      most = Math.max(most, ++working)
      await gate
      working--
    })
  const running = [work('stranger'), work('stranger')]
  await assert.rejects(work('stranger'), { code: 'BUSY' })
  running.push(work('proven'), work('proven'), work('proven'), work('proven')) // of whom two wait
  await assert.rejects(work('proven'), { code: 'BUSY' })
  open()
  await Promise.all(running)
  assert.equal(most, 4)
  await work('stranger')
})

test('who is turned away is told to come again after as long as all will take who were turned away', async () => {
  const limits = new Limits(now, { concurrent: 1, concurrentStrangers: 1 })
  const refused = async () => {
    const error: unknown = await limits.work('stranger', async () => undefined).catch((error: unknown) => error)
    return error instanceof EnrollmentError ? (error.retryAfterSeconds ?? 0) : 0
  }
  for (let at = 0; at < 20; at++) await limits.work('stranger', async () => undefined)
  let open: () => void = () => undefined
  const running = limits.work('stranger', () => new Promise<void>((resolve) => (open = resolve)))
  const told: number[] = []
  for (let at = 0; at < 400; at++) told.push(await refused())
  assert.deepEqual(
    [told[0], told[39], told[399]],
    [1, 20, 60],
    '2 a second are done: 40 take 20 s; never above a minute',
  )
  clock.now += 20_000
  assert.equal(await refused(), 10, 'what was long ago counts no more, and nothing is done now')
  open()
  await running
})

test('a thousand joins at once from one address are bounded, and a device elsewhere still gets through', async (t) => {
  const world = await createEnrollmentWorld(t, { limits: { perAddress: { burst: 50, perSecond: 1 } } })
  const device = await openDevice(await world.openTpm())
  const flood = newChannel('198.51.100.1')
  const request = await evidenceOf(device, { channel: flood.exporter })
  const { text } = await makeToken(world)
  const { csr } = await softwareKey()

  const attempts = Array.from({ length: 1000 }, () => world.enrollment.beginTpmJoin(request, flood))
  const honest = world.enrollment.joinWithToken(text, { csr }, newChannel('203.0.113.5'))
  const results = await Promise.allSettled(attempts)
  assert.ok((await honest).certificate)
  const refused = results.filter((result) => result.status === 'rejected')
  assert.ok(results.length - refused.length <= 50)
  for (const { reason } of refused) {
    assert.ok(reason instanceof EnrollmentError && reason.code === 'BUSY' && (reason.retryAfterSeconds ?? 0) > 0)
  }
  await world.enrollment.close()
  const counts = world.audit.records.flatMap((record) => (record.event === 'join.refuse' ? [record.count] : []))
  assert.ok(counts.length <= 3, 'few records')
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    refused.length,
    'and every refusal in them',
  )
  assert.deepEqual([...new Set(refusals(world))], ['BUSY'])
})

test('refusals of one kind from one source are one record at once, and one with the rest after ten seconds', () => {
  const audit = createMemoryAudit()
  const due: (() => void)[] = []
  const refused = new Refusals(audit, (milliseconds, then) => {
    assert.equal(milliseconds, 10_000)
    due.push(then)
    return () => undefined
  })
  const add = (reason: string, peer = '192.0.2.1') => refused.add({ method: 'token', reason, peer })
  for (let at = 0; at < 7; at++) add('TOKEN_UNKNOWN')
  add('TOKEN_SPENT')
  add('TOKEN_UNKNOWN', '192.0.2.2')
  const counts = () => audit.records.map((record) => (record.event === 'join.refuse' ? record.count : 0))
  assert.deepEqual(counts(), [1, 1, 1])
  for (const then of due) then()
  assert.deepEqual(counts(), [1, 1, 1, 6])
  add('TOKEN_UNKNOWN')
  assert.deepEqual(counts(), [1, 1, 1, 6, 1])
})

test('the port of a source, which is new with every connection, makes no record of its own', () => {
  const audit = createMemoryAudit()
  const refused = new Refusals(audit, () => () => undefined)
  for (let port = 10_000; port < 10_100; port++) {
    refused.add({ method: 'token', reason: 'BUSY', peer: `192.0.2.1:${port}` })
    refused.add({ method: 'token', reason: 'BUSY', peer: `[2001:db8::${port.toString(16)}]:${port}` })
  }
  assert.equal(audit.records.length, 2)
})

test('more sources than we count apart are counted together', () => {
  const audit = createMemoryAudit()
  const refused = new Refusals(audit, () => () => undefined)
  for (let at = 0; at < 10_000; at++) {
    refused.add({ method: 'token', reason: 'BUSY', peer: `10.0.${at >> 8}.${at & 255}:5000` })
  }
  assert.ok(audit.records.length < 5000)
  refused.flush()
  const counts = audit.records.map((record) => (record.event === 'join.refuse' ? record.count : 0))
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    10_000,
  )
})

test('a refusal stands although the log takes nothing any more', () => {
  const audit = createMemoryAudit()
  audit.fail()
  const refused = new Refusals(audit)
  refused.add({ method: 'tpm', reason: 'BUSY', peer: '192.0.2.1' })
  refused.flush()
})

test('nothing that was spent is forgotten before it expires: rather nobody joins for a while', () => {
  const spent = new Spent(now, 2)
  assert.ok(spent.spend('a', now() + 10))
  assert.ok(spent.spend('b', now() + 20))
  assert.equal(spent.spend('a', now() + 10), false)
  assert.throws(() => spent.spend('c', now() + 30), { code: 'BUSY' })
  clock.now += 10
  assert.ok(spent.spend('c', now() + 30))
})

test('a nonce is ours, fresh and used once, or it is none', () => {
  const make = (byte: number) =>
    new Nonces({ key: new Uint8Array(32).fill(byte), now, random: (length) => new Uint8Array(length).fill(++next) })
  let next = 0
  const nonces = make(1)
  const { nonce, expires } = nonces.create()
  assert.equal(nonce.length, 32)
  assert.equal(expires.getTime(), now() + 120_000)
  for (let at = 0; at < 32; at++) {
    assert.throws(() => nonces.spend(nonce.with(at, (nonce[at] ?? 0) ^ 1)), { code: 'NONCE_INVALID' })
    assert.throws(() => nonces.spend(nonce.slice(0, at)), { code: 'NONCE_INVALID' })
  }
  assert.throws(() => make(2).spend(nonce), { code: 'NONCE_INVALID' })
  nonces.spend(nonce)
  assert.throws(() => nonces.spend(nonce), { code: 'NONCE_INVALID' })
})
