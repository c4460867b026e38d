import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Stage } from '../../demo/stage.js'
import type { MqttClient } from 'mqtt'
import { publishes, RawClient } from './raw-client.js'
import { connected, credentialOf, enroll, makeRenewalDue, next, openStage, searchAudit } from './world.js'

const inFlight = 5000
const batch = 100

for (const qos of [0, 1] as const) {
  test(`case 55: of ${inFlight} QoS ${qos} messages in flight, none is delivered once the revocation has returned`, async (t) => {
    const { stage, thermo, gateway } = await openWorld(t)
    const listener = await connected(t, stage, gateway, { clientId: 'gateway-1' })
    await listener.subscribeAsync('devices/+/telemetry/#', { qos })
    const speaker = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
    await speaker.open('thermo-1~flood')
    const flood = keepFlooding(speaker, listener, qos)
    while (flood.heard < 200) await next(listener, 'message')

    const answer = await stage.ask<Revoked>('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise')
    const before = flood.heard
    await listener.publishAsync('devices/thermo-1/cmd/anything', '', { qos: 1 }) // acknowledged behind all that was sent
    assert.equal(flood.heard - before, 0)
    assert.ok(flood.sent - flood.heard > inFlight - batch)
    assert.deepEqual([answer.sessions, answer.recorded], [1, true])
    await speaker.closed

    const [revoked] = await searchAudit(stage, '--event', 'device.revoke')
    const delivered = await searchAudit(stage, '--event', 'message.deliver')
    assert.ok(revoked && delivered.every(({ sequence }) => sequence < revoked.sequence))
    const published = await searchAudit(stage, '--event', 'message.publish', '--device', 'thermo-1')
    assert.ok(published.length >= speaker.count('puback'))
    await stage.operator('audit', 'verify') // fails when the log is not what was signed
  })
}

test('a revoked device finds no way back: not to the broker, not to a new certificate, not by its token', async (t) => {
  const { stage, thermo } = await openWorld(t)
  await stage.operator('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise')
  await assert.rejects(connected(t, stage, thermo, { clientId: 'thermo-1' }))
  await makeRenewalDue(thermo)
  const running = thermo.starts('run')
  await running.line((line) => line.includes(' not-renewed ') && line.includes('REFUSED'))
  await running.line((line) => line.includes(' disconnected ') && line.includes('REFUSED'))
  await running.stop()
  const token = await stage.tryOperator('tokens', 'create', '--device', 'thermo-1')
  assert.equal(token.exitCode, 5, token.stdout)

  const reasons = await refusalsOf(stage, 'session.refuse')
  assert.ok(reasons.includes('revoked'), String(reasons))
  assert.deepEqual(await refusalsOf(stage, 'join.refuse'), ['DEVICE_REVOKED'])
})

async function openWorld(t: TestContext) {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  return { stage, thermo, gateway }
}

interface Revoked {
  readonly sessions: number
  readonly recorded: boolean
}

/** Sends on as the listener hears, so that always as many messages are on their way from one to the other. */
function keepFlooding(speaker: RawClient, listener: MqttClient, qos: 0 | 1) {
  const flood = { sent: 0, heard: 0 }
  const pour = (count: number): void => {
    speaker.send(publishes('devices/thermo-1/telemetry/flood', qos, flood.sent, count))
    flood.sent += count
  }
  pour(inFlight)
  listener.on('message', () => {
    flood.heard++
    if (flood.sent - flood.heard <= inFlight - batch) pour(batch)
  })
  return flood
}

async function refusalsOf(stage: Stage, event: string): Promise<readonly (string | undefined)[]> {
  return (await searchAudit(stage, '--event', event)).map(({ reason }) => reason)
}
