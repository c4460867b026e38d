import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Stage, StageDevice } from '../../demo/stage.js'
import { RawClient } from './raw-client.js'
import { connected, credentialOf, enroll, next, openStage, searchAudit } from './world.js'

const loops = 8
const before = 40
/** Each loop goes on until it was turned away so often after the revocation has returned. */
const afterwards = 3

test('case 56: of reconnects that race a revocation none is let in once it has returned, nor recorded behind it', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const race = startRace(t, stage, thermo)
  await race.accepted(before)
  const begun = performance.now()
  await stage.operator('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise')
  const { within, letInAfterwards, turnedAway } = await race.finish()
  t.diagnostic(`${within} connections while ${Math.round(performance.now() - begun)} ms passed`)
  assert.deepEqual([letInAfterwards, turnedAway], [0, loops * afterwards])

  const [revoked] = await searchAudit(stage, '--event', 'device.revoke')
  const connects = await searchAudit(stage, '--event', 'session.connect', '--device', 'thermo-1')
  assert.ok(revoked && connects.length >= before)
  assert.ok(connects.every(({ sequence }) => sequence < revoked.sequence))
  await stage.operator('audit', 'verify')
})

test('case 57: to end one of the sessions of a device leaves the others; to revoke the device ends them all, and nobody else', async (t) => {
  const stage = await openStage(t)
  const [bridge, pump] = [await enroll(stage, 'bridge-1'), await enroll(stage, 'pump-1')]
  const open = (device: StageDevice, clientId: string) => connected(t, stage, device, { clientId })
  const children = [
    await open(bridge, 'bridge-1'),
    await open(bridge, 'bridge-1~east'),
    await open(bridge, 'bridge-1~west'),
  ] as const
  const other = await open(pump, 'pump-1')
  const [own, east, west] = children

  const closed = next(east, 'close')
  await stage.operator('sessions', 'kick', 'bridge-1~east', '--comment', 'this one')
  await closed
  for (const child of [own, west]) await child.publishAsync('devices/bridge-1/telemetry', 'on', { qos: 1 })
  await open(bridge, 'bridge-1~east')

  const ended = [own, west].map((child) => next(child, 'close'))
  const answer = await stage.ask<{ sessions: number }>('devices', 'revoke', 'bridge-1', '--reason', 'keyCompromise')
  await Promise.all(ended)
  assert.equal(answer.sessions, 3)
  for (const clientId of ['bridge-1', 'bridge-1~east', 'bridge-1~new']) await assert.rejects(open(bridge, clientId))
  await other.publishAsync('devices/pump-1/telemetry', 'on', { qos: 1 })
  const reasons = await searchAudit(stage, '--event', 'session.end', '--device', 'bridge-1')
  assert.deepEqual(reasons.map(({ reason }) => reason).toSorted(), ['kicked', 'revoked', 'revoked', 'revoked'])
})

/** Connects under its own names, each as soon as the one before it has its answer, and goes at once. */
function startRace(t: TestContext, stage: Stage, device: StageDevice) {
  let [letIn, letInAfterwards, turnedAway] = [0, 0, 0]
  let hasReturned = false
  let wake = (): void => undefined
  const attempt = async (clientId: string): Promise<boolean> => {
    const client = new RawClient(t, stage.ports.mqtt, credentialOf(device))
    const answer = await client.open(clientId)
    client.socket.destroy()
    await client.closed
    return answer?.cmd === 'connack' && answer.returnCode === 0
  }
  const running = Array.from({ length: loops }, async (_, loop) => {
    for (let refused = 0; refused < afterwards;) {
      const isLate = hasReturned
      const isIn = await attempt(`thermo-1~${loop}`)
      if (isIn) letIn++
      if (isIn && isLate) letInAfterwards++
      if (!isIn && isLate) refused++
      wake()
    }
    turnedAway += afterwards
  })
  return {
    async accepted(count: number): Promise<void> {
      while (letIn < count) await new Promise<void>((resolve) => (wake = resolve))
    },
    async finish() {
      hasReturned = true
      const within = letIn
      await Promise.all(running)
      return { within, letInAfterwards, turnedAway }
    },
  }
}
