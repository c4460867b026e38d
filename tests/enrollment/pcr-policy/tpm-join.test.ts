import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { PcrPolicyInForce } from '#enrollment'
import { logOfMeasurements, measuredBoot } from '#simulators'
import { decodeEventLog, replayEventLog } from '#tpm'
import { encodeHex } from '#protocol'
import { decodePem, readDeviceIdentity } from '#x509'
import { trustDomain } from '../../ca/world.js'
import {
  answerTo,
  createEnrollmentWorld,
  evidenceOf,
  makeToken,
  newChannel,
  openDevice,
  pcrPolicyOf,
  refusals,
  renewalOf,
} from '../world.js'

const boot = logOfMeasurements(measuredBoot())
const booted = replayEventLog(decodeEventLog(boot), 'sha256')
const registers = [0, 4, 7]
const known = new Map(registers.map((pcr) => [pcr, [{ value: encodeHex(booted.get(pcr) ?? assert.fail()) }]]))
const events = { secureBoot: true, require: [], only: [], forbid: [] }
const policy = pcrPolicyOf([], { pcrs: known, events, eventLog: true })

/** A machine that booted so, and its joins under a policy. */
async function booting(t: TestContext, pcrPolicies: readonly PcrPolicyInForce[], eventLog = boot) {
  const world = await createEnrollmentWorld(t, { pcrPolicies })
  const device = await openDevice(await world.openTpm('ecc-p256', world.ekAuthority, eventLog))
  const { text: token } = await makeToken(world, { uses: 10 })
  const join = async (pcrs: readonly number[] | undefined = registers, again = eventLog) => {
    const channel = newChannel()
    const purpose = { channel: channel.exporter, eventLog, ...(pcrs.length > 0 && { pcrs }) }
    const challenge = await world.enrollment.beginTpmJoin({ ...(await evidenceOf(device, purpose)), token }, channel)
    const answer = await answerTo(device, challenge)
    return world.enrollment.activateTpmJoin({ ...answer, eventLog: again }, channel)
  }
  return { world, device, join }
}

const derOf = (certificate: string) => decodePem(certificate, 'CERTIFICATE')[0] ?? assert.fail()
const tierOf = (certificate: string) => readDeviceIdentity(derOf(certificate), trustDomain).tier

test('a device is told what to quote, and joins as tpm+pcr where all of it is good', async (t) => {
  const { world, join } = await booting(t, [policy])
  assert.deepEqual(world.enrollment.termsOf(policy.profiles[0] ?? assert.fail()), { pcrs: registers, eventLog: true })
  const { certificate, deviceId } = await join()
  assert.equal(tierOf(certificate), 'tpm+pcr')
  const { outcome, pcrs, policy: by } = world.registry.attestation(deviceId) ?? assert.fail()
  assert.deepEqual([outcome, by?.name, Object.keys(pcrs)], ['good', 'measured', ['0', '4', '7']])
  assert.deepEqual(world.eventLogs.get(deviceId), boot)
})

test('a machine that booted something else is refused where the policy enforces, with a code and nothing on record of it', async (t) => {
  const { world, join } = await booting(t, [policy], logOfMeasurements(measuredBoot({ secureBoot: false })))
  await assert.rejects(join(), { code: 'PCR_MISMATCH' })
  assert.deepEqual(refusals(world), ['PCR_MISMATCH'])
  assert.equal(world.registry.devices().length, 0)
})

test('where the policy observes it joins as tpm, and the log says that it is bad and why', async (t) => {
  const observing = { ...policy, mode: 'observe' } as const
  const { world, join } = await booting(t, [observing], logOfMeasurements(measuredBoot({ secureBoot: false })))
  const { certificate, deviceId } = await join()
  assert.equal(tierOf(certificate), 'tpm')
  const record = world.audit.records.findLast(({ event }) => event === 'device.attest')
  assert.ok(record?.event === 'device.attest')
  assert.deepEqual([record.device, record.outcome, record.mode], [deviceId, 'bad', 'observe'])
  assert.match(record.reasons.join(), /PCR_MISMATCH.*SECURE_BOOT_OFF/)
  assert.deepEqual(world.quarantined, [])
})

test('a device that quotes nothing, or other registers, is observed too, and turned away by a policy that enforces', async (t) => {
  const observed = await booting(t, [{ ...policy, mode: 'observe' }])
  assert.equal(tierOf((await observed.join([])).certificate), 'tpm')
  const enforced = await booting(t, [policy])
  await assert.rejects(enforced.join([]), { code: 'QUOTE_MISSING' })
  await assert.rejects(enforced.join([0, 7]), { code: 'PCR_SELECTION_MISMATCH' })
})

test('only the event log that was judged is kept', async (t) => {
  const { world, join } = await booting(t, [policy])
  const prettier = logOfMeasurements(measuredBoot({ commandLine: 'quiet' }))
  await assert.rejects(join(registers, prettier), { code: 'EVENT_LOG_MISMATCH' })
  assert.equal(world.eventLogs.size, 0)
})

test('the largest verdict and the longest report there can be still fit into the cookie, the report only where it does', async (t) => {
  const all = Array.from({ length: 24 }, (_, pcr) => pcr)
  const world = await createEnrollmentWorld(t, { pcrPolicies: [pcrPolicyOf(all, { mode: 'observe', eventLog: true })] })
  const device = await openDevice(await world.openTpm('ecc-p256', world.ekAuthority, boot))
  const { text: token } = await makeToken(world)
  const channel = newChannel()
  const reported = { model: 'x'.repeat(1000) }
  const evidence = await evidenceOf(device, { channel: channel.exporter, pcrs: all, eventLog: boot, reported })
  const challenge = await world.enrollment.beginTpmJoin({ ...evidence, token }, channel)
  assert.ok(challenge.cookie.length <= 4096, String(challenge.cookie.length))
  const answer = await world.enrollment.activateTpmJoin(await answerTo(device, challenge), channel)
  assert.equal(Object.keys(world.registry.attestation(answer.deviceId)?.pcrs ?? {}).length, 24)
})

test('a device that has drifted by its renewal is put in quarantine, with its next certificate, and on record', async (t) => {
  const pcrPolicies = [policy]
  const { world, device, join } = await booting(t, pcrPolicies)
  const { certificate, deviceId } = await join()
  pcrPolicies[0] = { ...policy, version: 2, pcrs: new Map(known).set(4, [{ value: 'ab'.repeat(32) }]) }
  const channel = newChannel()
  const evidence = await renewalOf(device, { channel: channel.exporter, pcrs: registers, eventLog: boot })
  const renewed = await world.enrollment.renew(derOf(certificate), evidence, channel)
  assert.equal(tierOf(renewed.certificate), 'tpm')
  assert.deepEqual(world.quarantined, [deviceId])
  const { outcome, policy: by } = world.registry.attestation(deviceId) ?? assert.fail()
  assert.deepEqual([outcome, by?.version], ['bad', 2])
})

test('a renewal that shows too little is refused and changes nothing, so that the device can ask what to show', async (t) => {
  const { world, device, join } = await booting(t, [policy])
  const { certificate } = await join()
  const renew = async (shown: object) => {
    const channel = newChannel()
    return world.enrollment.renew(
      derOf(certificate),
      await renewalOf(device, { channel: channel.exporter, ...shown }),
      channel,
    )
  }
  await assert.rejects(renew({ pcrs: [0], eventLog: boot }), { code: 'PCR_SELECTION_MISMATCH' })
  await assert.rejects(renew({ pcrs: registers }), { code: 'EVENT_LOG_MISSING' })
  assert.deepEqual(world.quarantined, [])
})

test('after so many renewals without a quote the next one has to bring one', async (t) => {
  const { world, device, join } = await booting(t, [{ ...policy, attestEvery: 2 }])
  let { certificate } = await join()
  const renew = async (shown: object = {}) => {
    const channel = newChannel()
    const evidence = await renewalOf(device, { channel: channel.exporter, ...shown })
    certificate = (await world.enrollment.renew(derOf(certificate), evidence, channel)).certificate
    world.clock.now += 20 * 3_600_000 // the same key gets the same certificate while over half of its life is left
  }
  await renew() // shows the certificate of the join, which is used here for the first time
  await renew()
  await assert.rejects(renew(), { code: 'QUOTE_MISSING' })
  await renew({ pcrs: registers, eventLog: boot })
  await renew()
})
