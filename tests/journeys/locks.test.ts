import assert from 'node:assert/strict'
import test from 'node:test'
import type { LockAnswer, LockView } from '#protocol'
import { asRoot, fillDisk, mountSmallDisk, removeFillers } from '../small-disk.js'
import { publishes, RawClient } from './raw-client.js'
import { connected, credentialOf, emptyStage, enroll, next, openStage, searchAudit } from './world.js'

test('a lock is tried, made, seen, outlives a restart, and is removed; nothing is left of what the device said', async (t) => {
  const stage = emptyStage(t)
  const service = await stage.openService()
  const oslo = await enroll(stage, 'pump-1', 'site=oslo')
  const rome = await enroll(stage, 'pump-2', 'site=rome')
  const pump = await connected(t, stage, oslo, { clientId: 'pump-1' })
  const other = await connected(t, stage, rome, { clientId: 'pump-2' })
  await pump.publishAsync('devices/pump-1/telemetry', 'on', { qos: 1 })

  const lock = ['locks', 'add', '--labels', 'site=oslo', '--reason', 'break-in', '--ask-above', '0'] as const
  const tried = await stage.ask<LockAnswer>(...lock, '--dry-run')
  assert.deepEqual([tried.devices, tried.sessions, tried.lock], [1, 1, undefined])
  await assert.rejects(stage.operator(...lock), /--yes says that it is meant/)
  assert.deepEqual(await stage.ask('locks', 'ls'), [])
  await pump.publishAsync('devices/pump-1/telemetry', 'still on', { qos: 1 })

  const closed = next(pump, 'close')
  const made = await stage.ask<LockAnswer>(...lock, '--yes')
  assert.deepEqual([made.devices, made.sessions, made.recorded, made.outstanding], [1, 1, true, []])
  await closed
  await assert.rejects(connected(t, stage, oslo, { clientId: 'pump-1' }))
  await other.publishAsync('devices/pump-2/telemetry', 'on', { qos: 1 })

  await service.stop()
  await stage.openService()
  const [listed] = await stage.ask<readonly LockView[]>('locks', 'ls')
  assert.deepEqual([listed?.reason, listed?.devices, listed?.by], ['break-in', 1, 'admin'])
  await assert.rejects(connected(t, stage, oslo, { clientId: 'pump-1' }))
  await stage.operator('lock', 'rm', made.lock?.id ?? '', '--comment', 'all clear')
  const back = await connected(t, stage, oslo, { clientId: 'pump-1' })
  await back.publishAsync('devices/pump-1/telemetry', 'on', { qos: 1 })
  const history = (await stage.operator('locks', 'history', '-o', 'json')).trim().split('\n')
  const events = history.map((line) => (JSON.parse(line) as { event: string }).event)
  assert.deepEqual(
    events.filter((event) => event !== 'lock.applied'),
    ['lock.remove', 'lock.add'],
  )
  assert.ok(events.includes('lock.applied'))
  await stage.operator('audit', 'verify')
})

test('a lock ends by itself when its time is over, on record', async (t) => {
  const stage = await openStage(t)
  const device = await enroll(stage, 'pump-1')
  await stage.operator('locks', 'add', '--device', 'pump-1', '--ttl', '2s', '--reason', 'a moment')
  await assert.rejects(connected(t, stage, device, { clientId: 'pump-1' }))
  while ((await searchAudit(stage, '--event', 'lock.expire')).length === 0);
  await connected(t, stage, device, { clientId: 'pump-1' })
  assert.deepEqual(await stage.ask('locks', 'ls'), [])
  const counted = async (role: string) => {
    return (await stage.ask<LockAnswer>('locks', 'add', '--role', role, '--reason', 'x', '--dry-run')).devices
  }
  assert.deepEqual([await counted('device'), await counted('gateway')], [1, 0])
})

test('on a full disk a lock acts, and is recorded out of the reserve', asRoot(), async (t) => {
  const stage = emptyStage(t)
  const unmount = mountSmallDisk(stage.serverData, 176)
  stage.track({ stop: () => Promise.resolve(unmount()) })
  await stage.openService()
  const [thermo, pump] = [await enroll(stage, 'thermo-1'), await enroll(stage, 'pump-1', 'site=oslo')]
  const flood = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
  await flood.open('thermo-1')
  const client = await connected(t, stage, pump, { clientId: 'pump-1' })
  fillDisk(stage.serverData)
  flood.send(publishes('devices/thermo-1/telemetry', 1, 0, 3000))
  await flood.closed

  const closed = next(client, 'close')
  const made = await stage.ask<LockAnswer>('locks', 'add', '--labels', 'site=oslo', '--reason', 'now', '--yes')
  await closed
  assert.deepEqual([made.sessions, made.recorded], [1, true])
  removeFillers(stage.serverData)
  while ((await searchAudit(stage, '--event', 'session.refuse', '--device', 'pump-1')).at(-1)?.reason !== 'locked') {
    await assert.rejects(connected(t, stage, pump, { clientId: 'pump-1' }))
  }
  assert.equal((await searchAudit(stage, '--event', 'lock.add')).length, 1)
})
