import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { IClientOptions, MqttClient } from 'mqtt'
import type { Stage } from '../../demo/stage.js'
import { seeded } from '../seeded.js'
import { ShownCheckpoints } from './shown-checkpoints.js'
import { keepPublishing, RedeliveringStore } from './lasting-load.js'
import { connected, emptyStage, enroll, next, searchAudit } from './world.js'

/** As many as a minute has room for. `TOUCHMARK_KILLS=200` for a longer run. */
const kills = Number(process.env['TOUCHMARK_KILLS'] ?? 4)

test('kill -9 under QoS 2 in both versions: every message is on record and arrives exactly once, and wills speak', async (t) => {
  const random = seeded(17)
  const stage = emptyStage(t)
  let service = await stage.openService()
  const checkpoints = new ShownCheckpoints(stage)
  const pairs = [await makePair(t, stage, 4), await makePair(t, stage, 5)]
  const loads = pairs.map(({ speaker, topic }) => keepPublishing(speaker, { prefix: topic, qos: 2, atOnce: 20 }))
  const mortal = await makeMortal(t, stage)
  const wills = countWills(pairs.map(({ listener }) => listener))

  for (let kill = 0; kill < kills; kill++) {
    if (!mortal.connected) await next(mortal, 'connect')
    for (const load of loads) {
      const enough = load.acknowledged.size + 1 + random(60)
      while (load.acknowledged.size < enough) await load.progress()
    }
    checkpoints.look()
    await service.stop('SIGKILL')
    checkpoints.look()
    service = await stage.openService()
  }
  for (const load of loads) await load.finish()
  for (const [at, { heard, listener }] of pairs.entries()) {
    while ([...(loads[at]?.acknowledged ?? [])].some((name) => !heard.has(name))) await next(listener, 'message')
    assert.deepEqual(
      [...heard].filter(([, times]) => times !== 1),
      [],
    )
  }
  // Each died with a connection that had a will, which speaks when its client is back.
  while (wills.some(({ count }) => count < kills))
    await Promise.race(pairs.map(({ listener }) => next(listener, 'message')))

  const records = await searchAudit(stage, '--event', 'message.publish')
  const recorded = new Set<string | undefined>()
  const repeated = records.filter(
    ({ topic, device }) => device !== 'mortal' && (recorded.has(topic) || !recorded.add(topic)),
  )
  assert.ok(repeated.every(({ dup }) => dup === true))
  for (const { acknowledged } of loads) assert.ok([...acknowledged].every((topic) => recorded.has(topic)))
  assert.equal((await searchAudit(stage, '--event', 'store.quarantine')).length, 0)
  assert.equal(await service.stop(), 0)
  await checkpoints.requirePrefixes()
})

/** A device that speaks and a gateway that hears it, with sessions that outlive their connections. */
async function makePair(t: TestContext, stage: Stage, protocolVersion: 4 | 5) {
  const [speakerId, listenerId] = [`thermo-${protocolVersion}`, `gateway-${protocolVersion}`]
  const [thermo, gateway] = [await enroll(stage, speakerId), await enroll(stage, listenerId, 'role=gateway')]
  const staying: IClientOptions = {
    ...{ protocolVersion, clean: false, reconnectPeriod: 20, connectTimeout: 5000 },
    ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 3600 } }),
  }
  const listener = await connected(t, stage, gateway, { ...staying, clientId: listenerId })
  const topic = `devices/${speakerId}/telemetry`
  await listener.subscribeAsync([`${topic}/#`, 'devices/mortal/state'], { qos: 2 })
  const heard = new Map<string, number>()
  listener.on('message', (name) => {
    if (name.startsWith(topic)) heard.set(name, (heard.get(name) ?? 0) + 1)
  })
  const outgoingStore = new RedeliveringStore()
  const speaker = await connected(t, stage, thermo, { ...staying, clientId: speakerId, outgoingStore })
  return { speaker, listener, topic, heard }
}

/** A device whose will is heard whenever its connection is lost. */
async function makeMortal(t: TestContext, stage: Stage): Promise<MqttClient> {
  const device = await enroll(stage, 'mortal')
  const will = { topic: 'devices/mortal/state', payload: Buffer.from('gone'), qos: 1, retain: false } as const
  return connected(t, stage, device, { clientId: 'mortal', reconnectPeriod: 20, connectTimeout: 5000, will })
}

function countWills(listeners: readonly MqttClient[]) {
  return listeners.map((listener) => {
    const wills = { count: 0 }
    listener.on('message', (topic) => void (topic === 'devices/mortal/state' && wills.count++))
    return wills
  })
}
