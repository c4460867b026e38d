import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { encodePem } from '#x509'
import { csvHeader } from '../../cli/export/csv.js'
import { RunningProgram } from '../../demo/programs.js'
import type { Stage } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { createLeaf } from '../server/world.js'
import { makeIssuing, makeRoot } from '../x509/world.js'
import { MosquittoBroker, mosquittoProgram } from './mosquitto-broker.js'
import { connected, emptyStage, enroll, filesOf, next, searchAudit } from './world.js'

const options = needs(mosquittoProgram, 'mosquitto_pub', 'mosquitto_sub')
const telemetry = 'devices/pump-1/telemetry/pressure'
const state = 'devices/pump-1/state'

test('what a device did is done again at a broker of others, message for message', options, async (t) => {
  const stage = await openStage(t, 'store')
  await record(t, stage)
  const broker = await MosquittoBroker.open(t)
  await broker.publish('-t', 'devices/pump-1/cmd/go', '-m', 'now', '-q', '1', '-r')
  await broker.listen()

  const { exitCode, stdout, stderr } = await replay(stage, '--to', `mqtt://127.0.0.1:${broker.port}`)
  assert.equal(exitCode, 0, stderr)
  const arrived = /← +arrives +devices\/pump-1\/cmd\/go +QoS 1 +3 B +retained$/
  assert.match(stdout, new RegExp(arrived, 'm'))
  const lines = stdout
    .trimEnd()
    .split('\n')
    .filter((line) => !arrived.test(line))
  for (const [line, pattern] of [
    /● +connects +connected +as pump-1 /,
    /\+ +subscribes +devices\/pump-1\/cmd\/# +subscribed +QoS 1 /,
    /→ +publishes +devices\/pump-1\/telemetry\/pressure +sent +QoS 0 +1 B /,
    /→ +publishes +devices\/pump-1\/telemetry\/pressure +acknowledged +QoS 1 +5 B /,
    /→ +publishes +devices\/pump-1\/telemetry\/pressure +acknowledged +QoS 2 +4 B /,
    /→ +publishes +devices\/pump-1\/state +acknowledged +QoS 1 +7 B +retained /,
    /→ +publishes +devices\/pump-2\/state +not sent +QoS 1 +4 B +DENIED /,
    /- +unsubscribes +devices\/pump-1\/cmd\/# +unsubscribed$/,
    /→ +publishes +devices\/pump-1\/telemetry\/pressure +acknowledged +QoS 1 +0 B /,
    /○ +ends +ended +client$/,
  ].entries())
    assert.match(lines[line] ?? '', pattern)
  assert.equal(lines.length, 10)
  assert.match(stderr, /^4 acknowledged\n1 sent at QoS 0.*\n1 subscribed\n1 arrived/m)
  assert.match(stderr, /^1 not sent: policy refused it/m)

  const heard = await broker.heard(5) // those of QoS 2 may come later
  assert.deepEqual(heard.map(({ topic, payload }) => `${topic} ${payload}`).sort(), [
    `${state} running`,
    ...['', '1', '3.75', '\u00e9t\u00e9'].map((payload) => `${telemetry} ${payload}`),
  ])
  const flags = [...broker.log.matchAll(/Received PUBLISH from pump-1 \((d\d, q\d, r\d)/g)].map(([, found]) => found)
  assert.deepEqual(flags, ['d0, q0, r0', 'd0, q1, r0', 'd0, q2, r0', 'd0, q1, r1', 'd0, q1, r0'])
  assert.match(broker.log, /New client connected .* as pump-1 \(p5, c1, k60\)/)
  assert.match(broker.log, /Client pump-1 disconnected\./)
})

test('with a prefix and a client id of its own nothing there is taken for the device', options, async (t) => {
  const stage = await openStage(t, 'store')
  await record(t, stage)
  const broker = await MosquittoBroker.open(t)
  await broker.listen()
  const apart = ['--topic-prefix', 'replay/', '--client-id', 'again', '--protocol', '3.1.1', '--device', 'pump-1']
  const again = (format: string) =>
    stage.tryOperator(
      ...['audit', 'replay', '--speed', 'max', '-o', format, '--to', `mqtt://127.0.0.1:${broker.port}`, ...apart],
    )
  const { exitCode, stdout, stderr } = await again('json')
  assert.equal(exitCode, 0, stderr)
  const heard = await broker.heard(5)
  assert.ok(heard.every(({ topic }) => topic.startsWith('replay/devices/pump-1/')))
  assert.match(broker.log, /as again \(p2, c1, k60\)/)
  assert.match(broker.log, /replay\/devices\/pump-1\/cmd\/# \(QoS 1\)/)
  const items = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; replay?: unknown })
  assert.deepEqual(items.find(({ event }) => event === 'message.publish')?.replay, { is: 'sent', placeholder: false })
  assert.deepEqual(items.at(-1), {
    ...{ event: 'replay.end', acknowledged: 4, sent: 1, placeholders: 0, subscribed: 1, arrived: 0 },
    ...{ refused: {}, skipped: { denied: 1 }, unanswered: 0 },
  })

  const [header, ...rows] = (await again('csv')).stdout.trimEnd().split('\n')
  assert.equal(header, csvHeader)
  assert.equal(rows.length, items.length)
  assert.match(rows[0] ?? '', /^\d+,[^,]+,session\.connect,pump-1,.*""replay"":\{""is"":""connected""\}/)
  assert.match(rows.at(-1) ?? '', /^,,replay\.end,.*""acknowledged"":4/)
})

test('what was not stored is never made up, unless one asks for a placeholder', options, async (t) => {
  const stage = await openStage(t, 'commit')
  await record(t, stage)
  const broker = await MosquittoBroker.open(t)
  const to = ['--to', `mqtt://127.0.0.1:${broker.port}`]
  const refused = await replay(stage, ...to)
  assert.deepEqual([refused.exitCode, refused.stdout], [3, ''])
  assert.match(refused.stderr, /audit: payload: store.*--placeholder.*\[PAYLOAD_MISSING\]/)
  assert.doesNotMatch(broker.log, /New connection/, 'nobody even came')

  await broker.listen()
  const replaced = await replay(stage, ...to, '--placeholder', '--with-denied')
  assert.equal(replaced.exitCode, 0, replaced.stderr)
  assert.match(replaced.stderr, /^5 of these with a placeholder$/m)
  assert.match(replaced.stdout, /devices\/pump-2\/state +acknowledged, placeholder/)
  assert.deepEqual((await broker.heard(6)).map(({ payload }) => payload.length).sort(), [0, 1, 4, 4, 5, 7])
})

test('what the broker refuses is counted by its reason, and the exit code says so', options, async (t) => {
  const stage = await openStage(t, 'store')
  await record(t, stage)
  const acl = `topic write ${telemetry}\ntopic read devices/pump-1/cmd/#\n`
  const broker = await MosquittoBroker.open(t, ['max_qos 1', 'acl_file FOLDER/acl'], { acl })
  const { exitCode, stdout, stderr } = await replay(stage, '--to', `mqtt://127.0.0.1:${broker.port}`)
  assert.equal(exitCode, 7, stderr)
  assert.match(stdout, /telemetry\/pressure +REFUSED 0x9b QoS not supported +QoS 2/)
  assert.match(stdout, /devices\/pump-1\/state +REFUSED 0x87 not authorized +QoS 1/)
  assert.match(stderr, /^2 acknowledged\n(.*\n)*1 REFUSED: 0x9b .*\n1 REFUSED: 0x87 not authorized/m)
  assert.match(stderr, /refused 2 messages or subscriptions \[PARTLY_DONE\]/)
})

test('over TLS each side shows the other who it is', options, async (t) => {
  const stage = await openStage(t, 'store')
  await record(t, stage)
  const always = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2090-01-01T00:00:00Z') }
  const root = await makeRoot(always)
  const issuing = await makeIssuing(root, { ...always, authority: { pathLength: 0 } })
  const [server, client] = [
    await createLeaf(issuing, 'localhost', { server: true }),
    await createLeaf(issuing, 'pump-1'),
  ]
  const ca = encodePem('CERTIFICATE', root.certificate)
  const secured = ['cafile FOLDER/ca', 'certfile FOLDER/cert', 'keyfile FOLDER/key', 'require_certificate true']
  const broker = await MosquittoBroker.open(t, secured, { ca, cert: server.cert, key: server.key })
  const [caFile, cert, key] = Object.entries({ ca, cert: client.cert, key: client.key }).map(([name, content]) => {
    writeFileSync(join(stage.folder, name), content)
    return join(stage.folder, name)
  })
  if (caFile === undefined || cert === undefined || key === undefined) throw new TypeError('three files')
  const to = ['--to', `mqtts://localhost:${broker.port}`]

  const known = await replay(stage, ...to, '--ca', caFile, '--cert', cert, '--key', key)
  assert.equal(known.exitCode, 0, known.stderr)
  const anonymous = await replay(stage, ...to, '--ca', caFile)
  assert.deepEqual([anonymous.exitCode, codeIn(anonymous)], [6, 'CONNECTION_LOST'])
  const strange = await replay(stage, ...to, '--cert', cert, '--key', key)
  assert.deepEqual([strange.exitCode, codeIn(strange)], [6, 'SERVER_NOT_TRUSTED'])
  const plain = await replay(stage, '--to', `mqtt://localhost:${broker.port}`)
  assert.deepEqual([plain.exitCode, codeIn(plain)], [6, 'CONNECTION_LOST'])
})

test('nothing is sent to the broker that made the log, unless one insists', options, async (t) => {
  const stage = await openStage(t, 'store')
  const pump = await record(t, stage)
  const { ca, cert, key } = filesOf(pump)
  const own = ['--to', `mqtts://localhost:${stage.ports.mqtt}`, '--ca', ca, '--cert', cert, '--key', key]
  const before = await searchAudit(stage, '--event', 'session.connect')
  const refused = await replay(stage, ...own)
  assert.deepEqual([refused.exitCode, codeIn(refused)], [2, 'OWN_BROKER'])
  assert.deepEqual(await searchAudit(stage, '--event', 'session.connect'), before)

  const meant = await replay(stage, ...own, '--to-own', '--placeholder', '--with-denied')
  assert.equal(meant.exitCode, 7, meant.stderr)
  assert.match(meant.stdout, /devices\/pump-2\/state +REFUSED 0x87 not authorized \(.*nothing allows it.*\)/)
})

test('Ctrl-C says goodbye to the broker, and how far it came', options, async (t) => {
  const stage = await openStage(t, 'store')
  await record(t, stage)
  const broker = await MosquittoBroker.open(t)
  const to = ['--to', `mqtt://127.0.0.1:${broker.port}`, '--speed', '0.001x'] // a millisecond takes a second
  const program = new RunningProgram('touchmark', ['audit', 'replay', '--device', 'pump-1', ...to], {
    TOUCHMARK_HOME: stage.serverData,
  })
  stage.track(program)
  await program.line((line) => line.includes('connected'))
  assert.equal(await program.stop('SIGINT'), 130)
  assert.ok(program.lines.some((line) => line.includes('[INTERRUPTED]')))
  assert.ok(await broker.says(/Client pump-1 disconnected\./))
})

test('what cannot be meant is refused before anything is asked', async (t) => {
  const stage = emptyStage(t)
  const code = async (...args: readonly string[]) => (await replay(stage, ...args)).exitCode
  for (const to of ['localhost', 'http://localhost', 'mqtt://', 'mqtt://a:b@localhost', 'mqtt://localhost/topic'])
    assert.equal(await code('--to', to), 2, to)
  assert.equal(await code('--to', 'mqtt://localhost', '--ca', 'ca.pem'), 2)
  assert.equal(await code('--to', 'mqtts://localhost', '--cert', 'cert.pem'), 2)
  for (const prefix of ['', '/', 'a', '#/', 'a/+/', '$SYS/'])
    assert.equal(await code('--to', 'mqtt://localhost', '--topic-prefix', prefix), 2, prefix)
  for (const idle of [['--placeholder'], ['--client-id', 'x'], ['--ca', 'ca.pem']]) assert.equal(await code(...idle), 2)
})

async function openStage(t: TestContext, payload: 'store' | 'commit'): Promise<Stage> {
  const stage = emptyStage(t)
  mkdirSync(stage.serverData, { recursive: true })
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), `audit:\n  payload: ${payload}\n`)
  await stage.openService()
  return stage
}

/** A session with something of everything. */
async function record(t: TestContext, stage: Stage) {
  const pump = await enroll(stage, 'pump-1')
  const client = await connected(t, stage, pump, { clientId: 'pump-1', protocolVersion: 5 })
  await client.subscribeAsync('devices/pump-1/cmd/#', { qos: 1 })
  await client.publishAsync(telemetry, '1', { qos: 0 })
  await client.publishAsync(telemetry, '\u00e9t\u00e9', { qos: 1 })
  await client.publishAsync(telemetry, '3.75', { qos: 2 })
  await client.publishAsync(state, 'running', { qos: 1, retain: true })
  await assert.rejects(client.publishAsync('devices/pump-2/state', 'mine', { qos: 1 }))
  await client.unsubscribeAsync('devices/pump-1/cmd/#')
  await client.publishAsync(telemetry, '', { qos: 1 })
  const closed = next(client, 'close')
  await client.endAsync()
  await closed
  return pump
}

function replay(stage: Stage, ...args: readonly string[]) {
  const speed = args.includes('--speed') ? [] : ['--speed', 'max']
  return stage.tryOperator('audit', 'replay', '--device', 'pump-1', ...speed, ...args)
}

function codeIn({ stderr }: { readonly stderr: string }): string | undefined {
  return /\[([A-Z_]+)\]\s*$/.exec(stderr)?.[1]
}
