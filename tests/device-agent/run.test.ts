import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { encodePem } from '#x509'
import { nodeDisk } from '../../device-agent/disk.js'
import { readStatus } from '../../device-agent/status.js'
import { ca, enrolledDevice, unknownRoute } from './enrolled-device.js'
import { createTestCa, issuingReply, type Reply, type TestRequest } from './service-double.js'

test(
  'connects with its certificate, says so, and says goodbye when it is stopped',
  { timeout: 20_000 },
  async (context) => {
    const device = await enrolledDevice(context)
    const agent = device.run()
    await agent.event('connected')

    const [connect] = device.broker.connects
    assert.equal(connect?.packet.clientId, 'gate-7')
    assert.equal(connect?.packet.clean, false)
    assert.equal(connect?.certificate.subject, 'CN=gate-7')
    await agent.event('reported connected')
    const status = await readStatus(device.folder, nodeDisk)
    assert.equal(status?.state, 'connected')
    assert.ok(status.connectedSince !== undefined && status.renewal.next !== undefined)

    await agent.stop()
    assert.equal((await readStatus(device.folder, nodeDisk))?.state, 'stopped')
    assert.equal(agent.mostWritersOfStatus(), 1)
    assert.deepEqual(device.broker.published, [
      'devices/gate-7/state {"online":true}',
      'devices/gate-7/state {"online":false}',
    ])
  },
)

test(
  'renews when the window says so: a new key, switched as a whole, the old one kept until the new has connected',
  { timeout: 20_000 },
  async (context) => {
    const device = await enrolledDevice(context, { renewal: 'now' })
    const before = readFileSync(join(device.folder, 'current/key.pem'), 'utf8')
    const agent = device.run()
    await agent.event('renewed')
    await agent.event('connected', ({ generation }) => generation === 2)

    const renewal = device.service.requests.find(({ path }) => path === '/v1/renew')
    assert.ok(renewal)
    assert.notEqual(readFileSync(join(device.folder, 'current/key.pem'), 'utf8'), before)
    await agent.stop()
    assert.deepEqual(readdirSync(join(device.folder, 'generations')), ['2'])
  },
)

test(
  'falls back to the old certificate when the broker does not take the new one, and keeps the new key for the next try',
  { timeout: 20_000 },
  async (context) => {
    const device = await enrolledDevice(context, {
      renewal: 'now',
      reasonCode: ({ certificate }, enrolled) => (certificate.fingerprint256 === enrolled ? 0 : 0x87),
    })
    const agent = device.run()
    await agent.event('fell back')
    await agent.event('connected', ({ generation }) => generation === 1)
    await agent.stop()
    const next = (await readStatus(device.folder, nodeDisk))?.renewal.next ?? assert.fail()
    assert.ok(Date.parse(next) < Date.now() + 60_000, 'and asks before the old one ends')
    assert.deepEqual(readdirSync(join(device.folder, 'generations')), ['1', '2'])
    assert.ok(!readdirSync(join(device.folder, 'generations/2')).includes('meta.json'))
  },
)

for (const [problem, code] of [
  ['is unavailable', 0x88],
  ['does not speak MQTT 5', 0x84],
  ['knows only MQTT 3.1.1', 0x01],
] as const) {
  test(`a broker that ${problem} is no reason to doubt the certificate`, { timeout: 20_000 }, async (context) => {
    let refused = false
    const device = await enrolledDevice(context, {
      renewal: 'now',
      reasonCode: ({ certificate }, enrolled) => {
        if (refused || certificate.fingerprint256 === enrolled) return 0
        refused = true
        return code
      },
    })
    const agent = device.run()
    await agent.event('disconnected', ({ error }) => error === 'UNREACHABLE')
    await agent.event('connected', ({ generation }) => generation === 2)
    await agent.stop()
  })
}

test('a renewal that answers for another device, or with another root, changes nothing', async (context) => {
  const foreign = await createTestCa()
  const bundle = [ca.root, foreign.root].map((der) => encodePem('CERTIFICATE', der))
  const withBundle = async (request: TestRequest): Promise<Reply> => {
    const reply = await issuingReply(ca)(request)
    assert.ok(typeof reply === 'object' && 'body' in reply)
    return { ...reply, body: Object.assign({}, reply.body, { trustBundle: { sequence: 2, certificates: bundle } }) }
  }
  for (const renewReply of [issuingReply(ca, { id: 'gate-8' }), withBundle]) {
    const device = await enrolledDevice(context, { renewal: 'now', renewReply })
    const agent = device.run()
    const { error } = await agent.event('not renewed')
    assert.equal(error, 'ANSWER_INVALID')
    await agent.stop()
    assert.equal((await readStatus(device.folder, nodeDisk))?.generation, 1)
  }
})

test('comes back after a lost connection', { timeout: 20_000 }, async (context) => {
  const device = await enrolledDevice(context)
  const agent = device.run()
  await agent.event('connected')
  device.broker.connects[0]?.socket.destroy()
  await agent.event('disconnected', ({ error }) => error === 'CONNECTION_LOST')
  await agent.event('connected')
  await agent.stop()
})

test(
  'a renewal that is refused is tried later, and leaves the connection alone',
  { timeout: 20_000 },
  async (context) => {
    const device = await enrolledDevice(context, {
      renewal: 'now',
      renewReply: () => ({ status: 503, body: { code: 'BUSY', title: 'Busy' }, headers: { 'retry-after': '3600' } }),
    })
    const agent = device.run()
    const failed = await agent.event('not renewed')
    assert.equal(failed['error'], 'REFUSED')
    assert.ok(Number.parseInt(String(failed['again-in'])) >= 3600)
    await agent.stop()
    assert.equal(device.service.requests.filter(({ path }) => path === '/v1/renew').length, 1)
    assert.equal(device.broker.connects.length, 1)
  },
)

test(
  'renews at once when the service says so, once, with a new key, and comes back once',
  { timeout: 20_000 },
  async (context) => {
    let isWanted = false
    const passed = { start: '2020-01-01T00:00:00Z', end: '2020-01-01T00:00:01Z' }
    const device = await enrolledDevice(context, {
      infoReply: () =>
        isWanted ? { status: 200, body: { suggestedWindow: passed }, headers: { 'retry-after': '0' } } : unknownRoute,
    })
    const asked = () => device.service.requests.filter(({ path }) => path.startsWith('/v1/renewal-info/')).length
    const before = readFileSync(join(device.folder, 'current/key.pem'), 'utf8')
    const agent = device.run()
    await agent.event('connected')
    isWanted = true
    await agent.event('renewal moved')
    await agent.event('renewed')
    await agent.event('connected', ({ generation }) => generation === 2)
    assert.notEqual(readFileSync(join(device.folder, 'current/key.pem'), 'utf8'), before)
    const since = asked()
    while (asked() < since + 20) await agent.turn() // the service goes on wanting it
    await agent.stop()
    assert.equal(device.service.requests.filter(({ path }) => path === '/v1/renew').length, 1)
    assert.equal(device.broker.connects.length, 2)
  },
)

for (const [what, reply] of [
  ['hangs', 'hang'],
  ['drops the connection', 'drop'],
  ['is no JSON', { status: 200, raw: '<html>' }],
  ['names no window', { status: 200, body: {} }],
  ['names a window of no time', { status: 200, body: { suggestedWindow: { start: 'never', end: '9'.repeat(100) } } }],
  ['is a refusal', { status: 403, body: { code: 'RENEWAL_REFUSED', title: 'Refused' } }],
] as const) {
  test(
    `an answer on when to renew that ${what} keeps the device from nothing`,
    { timeout: 20_000 },
    async (context) => {
      const device = await enrolledDevice(context, { renewal: 'now', infoReply: () => reply })
      const agent = device.run()
      await agent.event('renewed')
      await agent.event('connected', ({ generation }) => generation === 2)
      await agent.stop()
      assert.equal(device.broker.connects.at(-1)?.packet.clientId, 'gate-7')
    },
  )
}
