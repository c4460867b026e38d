import assert from 'node:assert/strict'
import { readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import mqtt from 'mqtt'
import { openLevelStore } from '#store'
import { run } from '../../demo/programs.js'
import type { Stage } from '../../demo/stage.js'
import { connected, credentialOf, emptyStage, enroll, searchAudit } from './world.js'

const lasting = { clean: false, protocolVersion: 5, properties: { sessionExpiryInterval: 3600 } } as const

test('a row that the disk has spoiled costs its session, is reported, and costs nobody else anything', async (t) => {
  const stage = emptyStage(t)
  const first = await stage.openService()
  for (const name of ['thermo-1', 'thermo-2']) {
    const device = await enroll(stage, name)
    const client = await connected(t, stage, device, { ...lasting, clientId: name })
    await client.subscribeAsync(`devices/${name}/cmd/#`, { qos: 2 })
    await client.endAsync()
  }
  assert.equal(await first.stop(), 0)

  const store = await openLevelStore(join(stage.serverData, 'store'))
  const key = 'broker/subscription/thermo-1/devices/thermo-1/cmd/#'
  const row = Uint8Array.from((await store.get(key)) ?? [])
  assert.ok(row.length > 0)
  row[row.length - 1] = (row[row.length - 1] ?? 0) ^ 1
  await store.commit({ puts: [[key, row]] })
  await store.close()

  await stage.openService()
  const reports = await searchAudit(stage, '--event', 'store.quarantine')
  assert.deepEqual(
    reports.map(({ clientId }) => clientId),
    ['thermo-1'],
  )
  assert.deepEqual([await findsSession(t, stage, 'thermo-1'), await findsSession(t, stage, 'thermo-2')], [false, true])
})

test('a store that is damaged is said to be, nothing starts, and without it the log brings back who is revoked', async (t) => {
  const stage = emptyStage(t)
  const first = await stage.openService()
  await enroll(stage, 'thermo-1')
  await enroll(stage, 'thief')
  await stage.operator('devices', 'revoke', 'thief', '--reason', 'keyCompromise')
  const before = await devicesOf()
  assert.equal(await first.stop(), 0)

  const folder = join(stage.serverData, 'store')
  for (const file of readdirSync(folder)) if (file.startsWith('MANIFEST')) writeFileSync(join(folder, file), 'nonsense')
  const ports = ['--https-port', '0', '--mqtt-port', '0', '--websocket-port', '0', '--health-port', '0']
  const refused = await run('touchmark', ['up', '--data', stage.serverData, ...ports])
  assert.deepEqual([refused.exitCode, refused.stdout], [1, ''])
  assert.match(refused.stderr, /\[STORE_DAMAGED\]$/m)
  assert.ok(refused.stderr.includes(folder))

  renameSync(folder, `${folder}.damaged`)
  await stage.openService()
  assert.deepEqual(await devicesOf(), before)
  const thermo = await connected(t, stage, stage.device('thermo-1'), { clientId: 'thermo-1' })
  assert.ok(thermo.connected)
  await assert.rejects(connected(t, stage, stage.device('thief'), { clientId: 'thief' }))
  await stage.operator('audit', 'verify')

  async function devicesOf() {
    return (await stage.ask<readonly Record<string, unknown>[]>('devices', 'ls')).map(
      ({ online: _online, ...device }) => device,
    )
  }
})

/** What CONNACK says to a device that is back. */
async function findsSession(t: TestContext, stage: Stage, name: string): Promise<boolean> {
  const device = stage.device(name)
  const client = mqtt.connect({
    ...{ protocol: 'mqtts', host: 'localhost', port: stage.ports.mqtt, reconnectPeriod: 0 },
    ...credentialOf(device),
    ...lasting,
    clientId: name,
  })
  t.after(() => client.end(true))
  return new Promise((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
    client.once('error', reject)
  })
}
