import assert from 'node:assert/strict'
import test from 'node:test'
import type { Stage } from '../../demo/stage.js'
import { asRoot, fillDisk, mountSmallDisk, removeFillers } from '../small-disk.js'
import { publishes, RawClient } from './raw-client.js'
import { connected, credentialOf, emptyStage, enroll, next, searchAudit } from './world.js'

const topics = 'devices/thermo-1/telemetry'

test(
  'case 59: on a full disk with a reserve devices are told, a revocation is recorded, and with room again all goes on',
  asRoot(),
  async (t) => {
    const stage = emptyStage(t)
    giveSmallDisk(stage, 176)
    await stage.openService()
    const [thermo, pump] = [await enroll(stage, 'thermo-1'), await enroll(stage, 'pump-1')]
    const client = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
    await client.open('thermo-1')
    client.send(publishes(topics, 1, 0, 100))
    await client.until(() => client.count('puback') === 100)
    await becomes(stage, true)

    fillDisk(stage.serverData)
    client.send(publishes(topics, 1, 100, 3000))
    await client.closed
    assert.match(await becomes(stage, false), /disk is full/)
    const acknowledged = client.count('puback')
    const revoked = await stage.operator('devices', 'revoke', 'pump-1', '--reason', 'keyCompromise', '-o', 'json')
    assert.equal((JSON.parse(revoked) as { recorded: boolean }).recorded, true)
    await assert.rejects(connected(t, stage, thermo, { clientId: 'thermo-1' }))

    removeFillers(stage.serverData)
    await becomes(stage, true)
    const back = await connected(t, stage, thermo, { clientId: 'thermo-1' })
    await back.publishAsync(topics, 'x', { qos: 1 })
    await assert.rejects(connected(t, stage, pump, { clientId: 'pump-1' }))
    const records = await searchAudit(stage, '--event', 'message.publish')
    assert.ok(records.length > acknowledged)
    assert.equal((await searchAudit(stage, '--event', 'device.revoke')).length, 1)
    await stage.operator('audit', 'verify')
  },
)

test(
  'case 59: a service that was killed on a full disk, its reserve in use, starts unready, says why, and comes back with room',
  asRoot(),
  async (t) => {
    const stage = emptyStage(t)
    giveSmallDisk(stage, 176)
    const first = await stage.openService()
    const [thermo, pump] = [await enroll(stage, 'thermo-1'), await enroll(stage, 'pump-1')]
    const client = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
    await client.open('thermo-1')
    await becomes(stage, true)
    fillDisk(stage.serverData)
    client.send(publishes(topics, 1, 0, 3000))
    await client.closed
    await becomes(stage, false)
    await stage.operator('devices', 'revoke', 'pump-1', '--reason', 'keyCompromise')
    await first.stop('SIGKILL')

    fillDisk(stage.serverData, 0)
    const starting = stage.openService()
    assert.match(await becomes(stage, false), /disk is full.*No space left/)
    await assert.rejects(connected(t, stage, thermo, { clientId: 'thermo-1' }))
    removeFillers(stage.serverData)
    const second = await starting
    await becomes(stage, true)
    const back = await connected(t, stage, thermo, { clientId: 'thermo-1' })
    await back.publishAsync(topics, 'x', { qos: 1 })
    await assert.rejects(connected(t, stage, pump, { clientId: 'pump-1' }))
    assert.equal((await searchAudit(stage, '--event', 'device.revoke')).length, 1)
    await stage.operator('audit', 'verify')
    assert.equal(await second.stop(), 0)
  },
)

test('case 95: a disk that denials have filled still records a revocation', asRoot(), async (t) => {
  const stage = emptyStage(t)
  giveSmallDisk(stage, 176)
  await stage.openService()
  const [thermo] = [await enroll(stage, 'thermo-1'), await enroll(stage, 'pump-1')]
  const nosy = await connected(t, stage, thermo, { clientId: 'thermo-1', protocolVersion: 5 })
  await becomes(stage, true)
  fillDisk(stage.serverData, 16 * 1024) // what the service writes meanwhile takes some of it
  const closed = next(nosy, 'close') // what it has sent by then nobody answers
  let denials = 0
  const trying = (async () => {
    for (let at = 0; nosy.connected; at++) {
      const publishing = nosy.publishAsync(`devices/pump-1/cmd/${at}`, '', { qos: 1 })
      await Promise.race([publishing.catch(() => denials++), closed])
    }
  })()
  assert.match(await becomes(stage, false), /disk is full/)
  const revoked = await stage.ask<{ recorded: boolean }>('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise')
  assert.equal(revoked.recorded, true)
  await trying
  const recorded = await searchAudit(stage, '--event', 'message.publish', '--decision', 'deny')
  assert.ok(denials > 0 && recorded.length > 0)
  assert.equal((await searchAudit(stage, '--event', 'device.revoke')).length, 1)
  await stage.operator('audit', 'verify')
})

test('a service that waits for room is ended in order', asRoot(), async (t) => {
  const stage = emptyStage(t)
  giveSmallDisk(stage, 8)
  fillDisk(stage.serverData, 0)
  const waiting = stage.startService()
  await waiting.line((line) => line.includes('starts as soon as there is room'))
  assert.equal(await waiting.stop(), 0)
})

test(
  'cases 58 and 59: on a full disk without a reserve nothing is acknowledged without its record, and a revocation acts all the same',
  asRoot(),
  async (t) => {
    const stage = emptyStage(t)
    giveSmallDisk(stage, 8)
    await stage.openService()
    const thermo = await enroll(stage, 'thermo-1')
    const client = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
    await client.open('thermo-1')
    client.send(publishes(topics, 1, 0, 100))
    await client.until(() => client.count('puback') === 100)

    fillDisk(stage.serverData)
    client.send(publishes(topics, 1, 100, 5000))
    await client.closed // nothing can be promised any more
    assert.ok(client.count('puback') < 5100)
    const readiness = await fetch(`http://127.0.0.1:${stage.ports.health}/readyz`)
    assert.equal(readiness.status, 503)
    const revoked = await stage.tryOperator('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise', '-o', 'json')
    assert.equal(revoked.exitCode, 7, revoked.stderr) // partly done
    assert.equal((JSON.parse(revoked.stdout) as { recorded: boolean }).recorded, false)
    await assert.rejects(connected(t, stage, thermo, { clientId: 'thermo-1' }))
  },
)

/** Under the data folder only; gone when the service, which is started later, has ended. */
function giveSmallDisk(stage: Stage, mebibytes: number): void {
  const unmount = mountSmallDisk(stage.serverData, mebibytes)
  stage.track({ stop: () => Promise.resolve(unmount()) })
}

/** Asks until the service is ready, or is not; gives what it says. */
async function becomes(stage: Stage, ready: boolean): Promise<string> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${stage.ports.health}/readyz`).catch(() => undefined)
    const text = (await answer?.text()) ?? ''
    if (answer?.ok === ready) return text
  }
}
