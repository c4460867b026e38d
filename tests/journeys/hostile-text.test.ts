import assert from 'node:assert/strict'
import test from 'node:test'
import { RawClient } from './raw-client.js'
import { credentialOf, enroll, openStage, searchAudit } from './world.js'

const below = 'devices/thermo-1/telemetry'
const hostile = [
  'a\r\nb',
  '\u001b[2J\u001b[31m',
  '\u009b31m\u0085',
  '"}\n{"event":"device.revoke","device":"pump-1"}',
  '\u202egnp.exe',
  '\u2028\u2029',
  '=cmd|calc',
  '\u007f\t\b',
  'x'.repeat(997), // with what it is below, 1,024 bytes: no topic is longer
]

/** What ends a line, steers a terminal or turns text around. */
const dangerous = /[^\P{C}\n]|[\u2028\u2029]/u

test('case 62: whatever a device writes into topics and names, each record is one line everywhere, and no terminal obeys it', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const client = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
  await client.open('thermo-1')
  for (const [at, name] of hostile.entries()) {
    const message = { payload: 'x', qos: 1, messageId: at + 1, retain: false, dup: false } as const
    client.send([{ cmd: 'publish', topic: `${below}/${name}`, ...message }])
    await client.until(() => client.count('puback') === at + 1)
  }
  assert.equal(client.count('puback'), hostile.length)
  client.send([{ cmd: 'publish', topic: 'x'.repeat(65_000), payload: '', qos: 0, retain: false, dup: false }])
  await client.closed

  const overlong = new RawClient(t, stage.ports.mqtt, credentialOf(thermo))
  overlong.socket.write(connectAs(Buffer.from('thermo-1~\xc0\xaf', 'latin1')))
  await overlong.closed
  assert.deepEqual(overlong.received, [])

  const records = await searchAudit(stage, '--event', 'message.publish')
  assert.deepEqual(
    records.map(({ topic }) => topic),
    hostile.map((name) => `${below}/${name}`),
  )
  const ends = await searchAudit(stage, '--event', 'session.end')
  assert.deepEqual(
    ends.map(({ reason }) => reason),
    ['protocol_error'],
  )

  const everything = ['--event', 'message.publish', '--limit', '1000']
  for (const [header, ...command] of [
    [0, 'search'],
    [0, 'search', '-o', 'wide'],
    [0, 'search', '-o', 'json'],
    [1, 'search', '-o', 'csv'],
    [0, 'tail'],
    [0, 'export'],
    [1, 'export', '--format', 'csv'],
    [0, 'export', '--format', 'cloudevents'],
  ] as const) {
    const asked = command[0] === 'tail' ? everything.slice(0, 2) : everything
    const lines = (await stage.operator('audit', ...command, ...asked)).trimEnd().split('\n')
    assert.equal(lines.length, hostile.length + header, command.join(' '))
    for (const line of lines) assert.doesNotMatch(line, dangerous, command.join(' '))
  }
  assert.deepEqual(await searchAudit(stage, '--event', 'device.revoke'), [])
  await stage.operator('audit', 'verify')
})

/** MQTT 3.1.1 §3.1: what no library sends. */
function connectAs(clientId: Buffer): Buffer {
  const head = Buffer.from([0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, clientId.length])
  return Buffer.concat([Buffer.from([0x10, head.length + clientId.length]), head, clientId])
}
