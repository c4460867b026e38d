import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { parseJoinUri, parseTopicName } from '#protocol'
import { encodePem } from '#x509'
import { Clock } from '../../device-agent/clock.js'
import { nodeDisk } from '../../device-agent/disk.js'
import { enroll } from '../../device-agent/enroll.js'
import { Agent } from '../../device-agent/run.js'
import { StateFolder } from '../../device-agent/state-folder.js'
import { readStatus } from '../../device-agent/status.js'
import { tokenJoin } from '../../device-agent/token-join.js'
import { startBroker, type TestBroker, type TestConnect } from './broker-double.js'
import {
  createTestCa,
  issuingReply,
  type Reply,
  startService,
  type TestRequest,
  type TestService,
} from './service-double.js'
import { temporaryFolder } from './temporary-folder.js'

const ca = await createTestCa()
const hourMs = 3_600_000

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

interface DeviceOptions {
  readonly renewal?: 'now'
  /** `enrolled` is the fingerprint of the certificate that the device joined with. */
  readonly reasonCode?: (connect: TestConnect, enrolled: string) => number
  readonly renewReply?: (request: TestRequest) => Reply | Promise<Reply>
}

type Facts = Readonly<Record<string, string | number>>

/** A device that has joined, with the service and the broker that it will speak to. */
async function enrolledDevice(context: TestContext, options: DeviceOptions = {}) {
  const folder = temporaryFolder(context)
  let enrolled = ''
  const broker: TestBroker = await startBroker(ca, (connect) => options.reasonCode?.(connect, enrolled) ?? 0)
  const issue = issuingReply(ca)
  let joined = false
  const service: TestService = await startService(ca, async (request) => {
    if (joined && options.renewReply) return options.renewReply(request)
    const reply = await issue(request)
    assert.ok(typeof reply === 'object' && 'body' in reply)
    const passed = { start: new Date(Date.now() - hourMs).toISOString(), end: new Date(Date.now() - 1).toISOString() }
    const renewal = options.renewal === 'now' && !joined ? { renewal: passed } : {}
    joined = true
    return {
      ...reply,
      body: Object.assign({}, reply.body, { broker: { mqtts: `mqtts://localhost:${broker.port}` } }, renewal),
    }
  })
  context.after(() => Promise.all([service.close(), broker.close()]))

  const state = new StateFolder(folder, nodeDisk)
  const clock = new Clock({ system: () => Date.now(), monotonic: () => performance.now() })
  const generation = await enroll({
    uri: parseJoinUri(service.joinUri()),
    method: tokenJoin('tm1.id.secret', {}),
    state,
    clock,
  })

  enrolled = new X509Certificate(generation.certificateChain).fingerprint256

  const run = () => {
    const stopping = new AbortController()
    context.after(() => {
      stopping.abort()
    })
    const events: { readonly name: string; readonly facts: Facts }[] = []
    const waiting: (() => void)[] = []
    const log = (name: string, facts: Facts = {}): void => {
      events.push({ name, facts })
      for (const look of waiting.splice(0)) look()
    }
    let writers = 0
    let mostWriters = 0
    const disk = {
      ...nodeDisk,
      write: async (path: string, content: string, mode?: number) => {
        if (!path.endsWith('status.json')) return nodeDisk.write(path, content, mode)
        mostWriters = Math.max(mostWriters, ++writers)
        await nodeDisk.write(path, content, mode).finally(() => writers--)
        if (content.includes('"connected"')) log('reported connected')
      },
    }
    const ended = Agent.start(
      {
        ...{ state, disk, clock, random: () => 0, stopped: stopping.signal, log },
        openTpm: () => Promise.reject(new Error('no TPM here')),
        announce: { topic: parseTopicName('devices/gate-7/state') },
      },
      generation,
    ).then((agent) => agent.run())
    let seen = 0
    /** The next event of that name that has not been asked for yet. */
    const event = async (name: string, matches: (facts: Facts) => boolean = () => true): Promise<Facts> => {
      for (;;) {
        while (seen < events.length) {
          const next = events[seen++]
          if (next?.name === name && matches(next.facts)) return next.facts
        }
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    }
    const stop = async (): Promise<void> => {
      stopping.abort()
      await ended
    }
    return { event, stop, mostWritersOfStatus: () => mostWriters }
  }
  return { folder, broker, service, run }
}
