import assert from 'node:assert/strict'
import test from 'node:test'
import mqtt, { type MqttClient } from 'mqtt'
import { seeded } from '../seeded.js'
import { connected, emptyStage, enroll, next, searchAudit } from './world.js'

const kills = 10
const atOnce = 50
const topics = 'devices/thermo-1/telemetry'

test('kill -9 under load, ten times: what was acknowledged is in the log and is heard, and devices come back', async (t) => {
  const random = seeded(9)
  const stage = emptyStage(t)
  let service = await stage.openService()
  const thermo = await enroll(stage, 'thermo-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const staying = { clean: false, reconnectPeriod: 20, connectTimeout: 5000 }
  const listener = await connected(t, stage, gateway, { ...staying, clientId: 'gateway-1' })
  await listener.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  const heard = new Set<string>()
  listener.on('message', (topic) => heard.add(topic))
  const speaker = await connected(t, stage, thermo, {
    ...staying,
    clientId: 'thermo-1',
    outgoingStore: new RedeliveringStore(),
  })
  const load = keepPublishing(speaker)

  for (let kill = 0; kill < kills; kill++) {
    const enough = load.acknowledged.size + 1 + random(150)
    while (load.acknowledged.size < enough) await load.progress()
    await service.stop('SIGKILL')
    service = await stage.openService()
  }
  await load.finish()
  while ([...load.acknowledged].some((topic) => !heard.has(topic))) await next(listener, 'message')

  const records = await searchAudit(stage, '--event', 'message.publish', '--device', 'thermo-1')
  const first = new Set<string | undefined>()
  const repeated = records.filter(({ topic }) => first.has(topic) || !first.add(topic))
  assert.deepEqual(
    [...load.acknowledged].filter((topic) => !first.has(topic)),
    [],
  )
  assert.ok(repeated.every(({ dup }) => dup === true))
  assert.equal(await service.stop(), 0)
  await stage.operator('audit', 'verify') // fails when the log is not what was signed
})

/** What is sent again must say so (MQTT 3.1.1 [MQTT-3.3.1-1]); mqtt.js 5 by itself forgets it. */
class RedeliveringStore extends mqtt.Store {
  override put(...[packet, done]: Parameters<mqtt.Store['put']>): this {
    return super.put(packet.cmd === 'publish' ? { ...packet, dup: true } : packet, done)
  }
}

/** Publishes with QoS 1, each message under a topic of its own and so many at once, until it is told to finish. */
function keepPublishing(speaker: MqttClient) {
  const acknowledged = new Set<string>()
  let [sent, settled] = [0, 0]
  let finishing = false
  let wake = (): void => undefined
  const send = (): void => {
    if (finishing) return
    const topic = `${topics}/${sent++}`
    speaker.publish(topic, 'x', { qos: 1 }, (error) => {
      settled++
      if (!error) acknowledged.add(topic) // else mqtt.js has given up, and the message is none of the service's
      wake()
      setImmediate(send)
    })
  }
  for (let started = 0; started < atOnce; started++) send()
  const progress = () => new Promise<void>((resolve) => (wake = resolve))
  const finish = async (): Promise<void> => {
    finishing = true
    while (settled < sent) await progress()
  }
  return { acknowledged, progress, finish }
}
