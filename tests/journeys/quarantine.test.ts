import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { LockAnswer, LockView } from '#protocol'
import { connected, enroll, next, openStage, searchAudit } from './world.js'

test('case 98: a device in quarantine stays connected, may be repaired and nothing else, and has its rights back without a reconnect', async (t) => {
  const stage = await openStage(t)
  const [pump, boss] = [await enroll(stage, 'pump-1'), await enroll(stage, 'boss', 'role=gateway')]
  const device = await connected(t, stage, pump, { clientId: 'pump-1', protocolVersion: 5, keepalive: 60 })
  const gateway = await connected(t, stage, boss, { clientId: 'boss', protocolVersion: 5 })
  const heard: string[] = []
  device.on('message', (topic) => heard.push(topic))
  let closed = 0
  device.on('close', () => closed++)
  await device.subscribeAsync('devices/pump-1/cmd/#', { qos: 1 })
  const say = (topic: string) => device.publishAsync(`devices/pump-1/telemetry/${topic}`, 'x', { qos: 1 })
  const command = (topic: string) => gateway.publishAsync(`devices/pump-1/cmd/${topic}`, 'x', { qos: 1 })
  await say('temperature')

  const order = ['locks', 'add', '--device', 'pump-1', '--mode', 'quarantine', '--reason', 'reports nonsense'] as const
  const tried = await stage.ask<LockAnswer>(...order, '--dry-run')
  assert.deepEqual([tried.devices, tried.sessions], [1, 0])
  const made = await stage.ask<LockAnswer>(...order)
  assert.deepEqual([made.sessions, made.lock?.mode, made.lock?.actsAs], [0, 'quarantine', undefined])
  await assert.rejects(say('temperature'), /Not authorized/i)
  await say('repair/log')
  const repaired = next(device, 'message')
  await command('open')
  await command('repair/reset')
  await repaired
  assert.deepEqual(heard, ['devices/pump-1/cmd/repair/reset'])

  await stage.operator('locks', 'rm', made.lock?.id ?? '', '--comment', 'mended')
  await say('temperature')
  const commanded = next(device, 'message')
  await command('open')
  await commanded
  assert.deepEqual(heard, ['devices/pump-1/cmd/repair/reset', 'devices/pump-1/cmd/open'])
  assert.equal(closed, 0)

  const withheld = await searchAudit(stage, '--event', 'message.deliver', '--device', 'pump-1', '--decision', 'deny')
  assert.deepEqual(
    withheld.map(({ topic, reason }) => [topic, reason]),
    [['devices/pump-1/cmd/open', 'quarantined']],
  )
  for (const event of ['device.quarantine', 'device.release']) {
    assert.deepEqual(
      (await searchAudit(stage, '--event', event)).map((entry) => entry.device),
      ['pump-1'],
    )
  }
})

test('case 98: what waited for a device that comes back in quarantine is withheld where its role does not reach', async (t) => {
  const stage = await openStage(t)
  const [pump, boss] = [await enroll(stage, 'pump-1'), await enroll(stage, 'boss', 'role=gateway')]
  const gateway = await connected(t, stage, boss, { clientId: 'boss', protocolVersion: 5 })
  const lasting = {
    clientId: 'pump-1',
    protocolVersion: 5,
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  } as const
  const before = await connected(t, stage, pump, lasting)
  await before.subscribeAsync('devices/pump-1/cmd/#', { qos: 1 })
  await before.endAsync()
  for (const topic of ['open', 'repair/reset']) {
    await gateway.publishAsync(`devices/pump-1/cmd/${topic}`, 'x', { qos: 1 })
  }
  await stage.operator('locks', 'add', '--device', 'pump-1', '--mode', 'quarantine', '--reason', 'odd')
  await connected(t, stage, pump, lasting)
  const query = ['--event', 'message.deliver', '--device', 'pump-1'] as const
  while ((await searchAudit(stage, ...query)).length < 2);
  const delivered = (await searchAudit(stage, ...query)).map(({ topic, decision }) => [topic, decision])
  assert.deepEqual(delivered, [
    ['devices/pump-1/cmd/open', 'deny'],
    ['devices/pump-1/cmd/repair/reset', 'allow'],
  ])
})

test('where a policy that names no role for quarantine comes into force, who is in quarantine is kept out', async (t) => {
  const stage = await openStage(t)
  const pump = await enroll(stage, 'pump-1')
  const device = await connected(t, stage, pump, { clientId: 'pump-1' })
  await stage.operator('locks', 'add', '--device', 'pump-1', '--mode', 'quarantine', '--reason', 'odd')
  const { source } = await stage.ask<{ source: string }>('policy', 'show')
  const without = source.replace(/^quarantine:.*$/m, '').replace(/^.*quarantined: true.*\n/gm, '')
  const file = join(stage.folder, 'policy.yaml')
  writeFileSync(file, without.replace('version: 1', 'version: 2'))
  const closed = next(device, 'close')
  await stage.operator('policy', 'apply', file)
  await closed
  await assert.rejects(connected(t, stage, pump, { clientId: 'pump-1' }))
  const [lock] = await stage.ask<readonly LockView[]>('locks', 'ls')
  assert.deepEqual([lock?.mode, lock?.actsAs], ['quarantine', 'lock'])
})
