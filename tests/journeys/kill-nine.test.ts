import assert from 'node:assert/strict'
import test from 'node:test'
import { seeded } from '../seeded.js'
import { ShownCheckpoints } from './shown-checkpoints.js'
import { keepPublishing, RedeliveringStore } from './lasting-load.js'
import { connected, emptyStage, enroll, next, searchAudit } from './world.js'

/** As many as a minute has room for. `TOUCHMARK_KILLS=200` for a longer run. */
const kills = Number(process.env['TOUCHMARK_KILLS'] ?? 10)

test(`case 60: kill -9 under load, ${kills} times: what was acknowledged is in the log and is heard, and devices come back`, async (t) => {
  const random = seeded(9)
  const stage = emptyStage(t)
  let service = await stage.openService()
  const checkpoints = new ShownCheckpoints(stage)
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
  const load = keepPublishing(speaker, { prefix: 'devices/thermo-1/telemetry', qos: 1, atOnce: 50 })

  for (let kill = 0; kill < kills; kill++) {
    const enough = load.acknowledged.size + 1 + random(150)
    while (load.acknowledged.size < enough) await load.progress()
    checkpoints.look()
    await service.stop('SIGKILL')
    checkpoints.look()
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
  t.diagnostic(`${kills} kills, ${load.acknowledged.size} messages acknowledged, ${repeated.length} repeated`)
  assert.equal(await service.stop(), 0)
  await checkpoints.requirePrefixes()
  await stage.operator('audit', 'verify') // fails when the log is not what was signed
})
