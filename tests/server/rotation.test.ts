import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { decodeRenewalInfo, parseJoinUri, type Problem, routes } from '#protocol'
import { certificateId, decodePem } from '#x509'
import { Clock } from '../../device-agent/clock.js'
import { nodeDisk } from '../../device-agent/disk.js'
import { enroll } from '../../device-agent/enroll.js'
import { Agent } from '../../device-agent/run.js'
import { StateFolder } from '../../device-agent/state-folder.js'
import { tokenJoin } from '../../device-agent/token-join.js'
import { run, temporaryFolder, up } from './running.js'

test('a running device rotates when an operator asks: at once, with a new key, and with one reconnect', async (t) => {
  const { folder, device, ask, askAs } = await openService(t)
  const agent = await device.run(t)
  await agent.event('connected')
  const before = device.key()
  const usual = await ask()
  assert.ok(usual.window.start.getTime() > Date.now())
  assert.ok(usual.retryAfterSeconds >= 60)

  const tried = await run(folder, ['devices', 'rotate', '--device', device.id, '--dry-run', '-o', 'json'])
  assert.deepEqual(JSON.parse(tried.stdout), { dryRun: true, devices: 1 })
  assert.deepEqual((await ask()).window, usual.window)
  const why = 'its disk was copied'
  const asked = await run(folder, ['devices', 'rotate', '--device', device.id, '--comment', why, '-o', 'json'])
  assert.deepEqual(JSON.parse(asked.stdout), { dryRun: false, devices: 1 })
  await agent.event('renewed')
  await agent.event('connected')
  const shown = await run(folder, ['devices', 'show', device.id])
  assert.match(shown.stdout, / current, .* instance /)
  assert.match(shown.stdout, / previous, .*, to be replaced$/m)
  assert.notEqual(device.key(), before)
  assert.ok((await ask()).window.start.getTime() > Date.now(), 'what it has now is not meant')
  assert.deepEqual([agent.count('renewed'), agent.count('connected'), agent.count('disconnected')], [1, 2, 0])

  const other = `${'A'.repeat(27)}.AQ`
  assert.deepEqual(await askAs(device.chain(), other), [403, 'RENEWAL_REFUSED'])
  assert.deepEqual(await askAs(undefined, other), [401, 'DEVICE_CERTIFICATE_REQUIRED'])
  await agent.stop()
  const log = await run(folder, ['audit', 'search', 'event:device.rotate', '-o', 'json'])
  const record = JSON.parse(log.stdout) as { device: string; operator: string; target: string; comment: string }
  assert.deepEqual(
    [record.device, record.operator, record.target, record.comment],
    [device.id, 'admin', `device:${device.id}`, why],
  )
  assert.equal((await run(folder, ['devices', 'rotate', '--address', '127.0.0.1'])).code, 2)
})

/** A service of real programs, and a device that has joined it. */
async function openService(t: TestContext) {
  const folder = temporaryFolder(t)
  const { ready } = await up(folder)
  const ca = readFileSync(join(folder, 'data', 'operator', 'ca.crt'), 'utf8')
  const home = join(folder, 'device')
  const state = new StateFolder(home, nodeDisk)
  const clock = new Clock({ system: () => Date.now(), monotonic: () => performance.now() })
  const method = tokenJoin(ready.token ?? '', {})
  const generation = await enroll({ uri: parseJoinUri(ready.joinUri), method, state, clock })
  const file = (name: string) => readFileSync(join(home, 'current', name), 'utf8')
  const device = {
    id: generation.facts.deviceId,
    key: () => file('key.pem'),
    chain: () => file('cert.pem'),
    run: (t: TestContext) => runAgent(t, { state, clock, generation }),
  }
  const send = async (cert: string | undefined, id: string) => {
    const shown = cert === undefined ? {} : { cert, key: device.key() }
    const { method, path } = routes.renewalInfo
    const where = { host: 'localhost', port: ready.ports.https, ca, agent: false, ...shown }
    const asking = request({ ...where, method, path: path.replace(':id', id) }).end()
    const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
      asking.once('response', resolve).once('error', reject)
    })
    return { status: response.statusCode, headers: response.headers, body: JSON.parse(await text(response)) as unknown }
  }
  return {
    ...{ folder, device },
    /** As the device itself. */
    async ask() {
      const [leaf = assert.fail()] = decodePem(device.chain(), 'CERTIFICATE')
      const { status, headers, body } = await send(device.chain(), certificateId(leaf))
      assert.equal(status, 200)
      const { start, end } = decodeRenewalInfo(body, '').suggestedWindow
      return { window: { start, end }, retryAfterSeconds: Number(headers['retry-after']) }
    },
    async askAs(cert: string | undefined, id: string) {
      const { status, body } = await send(cert, id)
      return [status, (body as Problem).code]
    },
  }
}

/** As `touchmark-agent run` does, but that it asks more often. */
async function runAgent(t: TestContext, { state, clock, generation }: Pick<Started, 'state' | 'clock'> & Enrolled) {
  const stopping = new AbortController()
  t.after(() => stopping.abort())
  const events: string[] = []
  const waiting: (() => void)[] = []
  let seen = 0
  const log = (event: string): void => {
    events.push(event)
    for (const look of waiting.splice(0)) look()
  }
  const agent = await Agent.start(
    {
      ...{ state, disk: nodeDisk, clock, random: () => 0, stopped: stopping.signal, log },
      openTpm: () => Promise.reject(new Error('no TPM here')),
      pace: { leastMs: 50, usualMs: 50, mostMs: 50 },
    },
    generation,
  )
  const ended = agent.run()
  return {
    count: (event: string) => events.filter((one) => one === event).length,
    async event(name: string): Promise<void> {
      for (;;) {
        while (seen < events.length) if (events[seen++] === name) return
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    async stop(): Promise<void> {
      stopping.abort()
      await ended
    },
  }
}

type Started = Parameters<typeof Agent.start>[0]
interface Enrolled {
  readonly generation: Parameters<typeof Agent.start>[1]
}
