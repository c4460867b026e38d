import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Stage, StageDevice } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { enroll, filesOf, openStage, runForeign, searchAudit } from './world.js'

const options = needs('mosquitto_pub', 'mosquitto_sub')

test('the mosquitto clients publish and subscribe with the files that the agent wrote', options, async (t) => {
  const { stage, thermo, gateway } = await openWorld(t)
  const topic = 'devices/thermo-1/telemetry/temperature'
  const listening = ['-i', 'gateway-1~sub', '-c', '-q', '1', '-t', 'devices/+/telemetry/#']
  // Subscribes with a session that stays, goes, and finds there what was published meanwhile.
  assert.equal((await mosquitto(stage, 'sub', gateway, ...listening, '-E')).exitCode, 0)
  const speaking = ['-i', 'thermo-1~pub', '-q', '1', '-t', topic]
  assert.equal((await mosquitto(stage, 'pub', thermo, ...speaking, '-m', '21.5')).exitCode, 0)
  const heard = await mosquitto(stage, 'sub', gateway, ...listening, '-C', '1', '-W', '10', '-v')
  assert.deepEqual([heard.exitCode, heard.stdout.trim()], [0, `${topic} 21.5`])

  assert.deepEqual(await eventsOn(stage, topic), ['message.publish allow', 'message.deliver allow'])
  assert.deepEqual(await eventsOn(stage, 'devices/+/telemetry/#', 'message.subscribe'), [
    'message.subscribe allow',
    'message.subscribe allow',
  ])
  const clientIds = (await searchAudit(stage, '--event', 'session.connect')).map(({ clientId }) => clientId)
  assert.deepEqual(clientIds, ['gateway-1~sub', 'thermo-1~pub', 'gateway-1~sub'])
})

test('what no rule grants is refused to them, and recorded', options, async (t) => {
  const { stage, thermo } = await openWorld(t)
  const foreign = 'devices/gateway-1/telemetry/temperature'
  const published = await mosquitto(stage, 'pub', thermo, '-i', 'thermo-1~pub', '-q', '1', '-t', foreign, '-m', 'x')
  assert.notEqual(published.exitCode, 0)
  const subscribed = await mosquitto(stage, 'sub', thermo, '-i', 'thermo-1~sub', '-t', foreign, '-W', '10', '-d')
  assert.match(subscribed.stdout + subscribed.stderr, /Subscribed \(mid: 1\): 128/) // MQTT 3.1.1 §3.9.3
  assert.deepEqual(await eventsOn(stage, foreign), ['message.publish deny', 'message.subscribe deny'])
})

test('another device’s client id is refused with a certificate of one’s own, and recorded', options, async (t) => {
  const { stage, thermo } = await openWorld(t)
  for (const clientId of ['gateway-1', 'gateway-1~pub', 'thermo-1x', 'thermo-1 ~pub']) {
    const topic = 'devices/thermo-1/telemetry/temperature'
    const refused = await mosquitto(stage, 'pub', thermo, '-i', clientId, '-q', '1', '-t', topic, '-m', 'x')
    assert.equal(refused.exitCode, 2, clientId) // CONNACK 2: identifier rejected, MQTT 3.1.1 §3.2.2.3
  }
  const refusals = await searchAudit(stage, '--event', 'session.refuse')
  assert.ok(refusals.some(({ device, clientId }) => device === 'thermo-1' && clientId === 'gateway-1'))
  assert.deepEqual(await eventsOn(stage, 'devices/#'), [])
})

async function openWorld(t: TestContext) {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  return { stage, thermo, gateway }
}

function mosquitto(stage: Stage, what: 'pub' | 'sub', device: StageDevice, ...args: readonly string[]) {
  const { ca, cert, key } = filesOf(device)
  const where = ['-h', 'localhost', '-p', String(stage.ports.mqtt), '--cafile', ca, '--cert', cert, '--key', key]
  return runForeign(`mosquitto_${what}`, [...where, ...args])
}

async function eventsOn(stage: Stage, topic: string, event?: string): Promise<readonly string[]> {
  const found = await searchAudit(stage, '--topic', topic, ...(event === undefined ? [] : ['--event', event]))
  return found.map((entry) => `${entry.event} ${entry.decision}`)
}
