import assert from 'node:assert/strict'
import test from 'node:test'
import type { LockAnswer } from '#protocol'
import type { Stage } from '../../demo/stage.js'
import { joinBare } from './joined.js'
import { publishes, RawClient } from './raw-client.js'
import { credentialOf, enroll, openStage, searchAudit } from './world.js'

const half = 20

test('of 40 devices that publish without end 20 fall silent by their label: not one message of theirs behind the answer', async (t) => {
  const stage = await openStage(t)
  const boss = await enroll(stage, 'boss', 'role=gateway')
  const listener = new RawClient(t, stage.ports.mqtt, credentialOf(boss))
  await listener.open('boss')
  listener.send([{ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'devices/+/telemetry/#', qos: 0 }] }])
  await listener.until(() => listener.count('suback') === 1)
  const [east, west] = [await openHalf('east'), await openHalf('west')]

  let sent = 0
  const speaking = setInterval(() => {
    for (const { id, client } of [...east, ...west]) client.send(publishes(`devices/${id}/telemetry`, 0, sent, 1))
    sent++
  }, 5)
  t.after(() => clearInterval(speaking))
  const heardOf = (devices: readonly { readonly id: string }[]) => {
    const ids = new Set(devices.map(({ id }) => id))
    return listener.received.filter((packet) => packet.cmd === 'publish' && ids.has(packet.topic.split('/')[1] ?? ''))
      .length
  }
  await listener.until(() => heardOf(east) > 200 && heardOf(west) > 200)

  const begun = performance.now()
  const order = ['locks', 'add', '--labels', 'half=east', '--mode', 'revoke', '--reason', 'stolen', '--yes'] as const
  const answer = await stage.ask<LockAnswer>(...order)
  t.diagnostic(`${Math.round(performance.now() - begun)} ms for the command`)
  assert.deepEqual([answer.devices, answer.sessions, answer.recorded, answer.outstanding], [half, half, true, []])
  await Promise.all(east.map(({ client }) => client.closed))
  const pongs = listener.count('pingresp')
  listener.send([{ cmd: 'pingreq' }])
  await listener.until(() => listener.count('pingresp') > pongs)
  const [before, others] = [heardOf(east), heardOf(west)]
  await listener.until(() => heardOf(west) > others + 500)
  assert.equal(heardOf(east), before)
  clearInterval(speaking)

  const applied = (await searchAudit(stage, '--event', 'lock.applied')).at(-1)
  assert.equal(applied?.sessions, half)
  const silent = new Set(east.map(({ id }) => id))
  const delivered = await searchAudit(stage, '--event', 'message.deliver')
  const late = delivered.filter(({ sequence }) => sequence > (applied?.sequence ?? Infinity))
  assert.ok(late.length > 500)
  assert.deepEqual(
    late.filter(({ publisher }) => silent.has(publisher ?? '')),
    [],
  )

  async function openHalf(name: string) {
    const { token } = await stage.ask<{ token: string }>(
      'tokens',
      'create',
      '--uses',
      String(half),
      '--label',
      `half=${name}`,
    )
    return Promise.all(Array.from({ length: half }, () => openBare(stage, token)))
  }

  async function openBare(of: Stage, token: string) {
    const { id, tls } = await joinBare(of, token)
    const client = new RawClient(t, of.ports.mqtt, tls)
    await client.open(id)
    assert.equal(client.count('connack'), 1)
    return { id, client }
  }
})
