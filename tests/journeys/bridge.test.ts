import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { RunningProgram } from '../../demo/programs.js'
import type { StageDevice } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { Line } from './line.js'
import { connected, connectThrough, enroll, makeRenewalDue, next, openStage, runForeign, searchAudit } from './world.js'

const paho = needs('/usr/bin/python3', '/usr/lib/python3/dist-packages/paho/mqtt/client.py')
const options = needs('mosquitto_pub', 'mosquitto_sub')

test(
  'programs without a credential speak and hear through the agent, by a socket with rights of its own',
  options,
  async (t) => {
    const { stage, thermo, heard, gateway } = await openWorld(t)
    const path = join(stage.folder, 'mqtt.sock')
    const agent = thermo.starts('run', '--bridge', `unix:${path}`, '--bridge-mode', '0600')
    await agent.line((line) => line.includes(' connected '))
    assert.equal(statSync(path).mode & 0o777, 0o600)

    const told = await mosquitto('pub', ['--unix', path], '-q', '1', '-t', '~/telemetry/t', '-m', '21.5')
    assert.equal(told.exitCode, 0, told.stderr)
    const inFull = await mosquitto('pub', ['--unix', path], '-t', 'devices/thermo-1/telemetry/t', '-m', '22')
    assert.equal(inFull.exitCode, 0, inFull.stderr)
    await heard.until(2)
    assert.deepEqual(heard.messages, ['devices/thermo-1/telemetry/t 21.5', 'devices/thermo-1/telemetry/t 22'])

    const listening = mosquitto(
      'sub',
      ['--unix', path],
      '-q',
      '1',
      '-t',
      '~/cmd/#',
      '-t',
      '$touchmark/status',
      '-C',
      '2',
      '-v',
    )
    while ((await searchAudit(stage, '--event', 'message.subscribe', '--device', 'thermo-1')).length === 0);
    await gateway.publishAsync('devices/thermo-1/cmd/reboot', 'now', { qos: 1 })
    const { stdout } = await listening
    assert.match(stdout, /^~\/cmd\/reboot now$/m)
    assert.match(stdout, /^\$touchmark\/status \{"upstream":"connected",/m)

    assert.equal(await agent.stop(), 0)
  },
)

test(
  'what was acknowledged while the network was cut survives kill -9 and comes in order when it is back',
  options,
  async (t) => {
    const { stage, thermo, heard } = await openWorld(t)
    const cable = await Line.lay(t, stage.ports.mqtt)
    await connectThrough(thermo, cable)
    const first = await startBridge(thermo)
    cable.cut()
    await first.agent.line((line) => line.includes(' disconnected '))
    const sent = Array.from({ length: 200 }, (_, at) => `m${at}`)
    const say = (port: string, messages: readonly string[]) =>
      runForeign('mosquitto_pub', ['-h', '127.0.0.1', '-p', port, '-q', '1', '-t', '~/telemetry/n', '-l'], {
        input: messages.join('\n'),
      })
    assert.equal((await say(first.port, sent.slice(0, 150))).exitCode, 0)
    await first.agent.stop('SIGKILL')

    const second = await startBridge(thermo, false)
    await second.agent.line((line) => line.includes('bridge-open') && line.includes('queued=150'))
    assert.equal((await say(second.port, sent.slice(150))).exitCode, 0)
    cable.mend()
    await heard.until(200)
    assert.deepEqual(
      [...new Set(heard.messages)],
      sent.map((message) => `devices/thermo-1/telemetry/n ${message}`),
    )
    await second.agent.stop()
  },
)

test(
  'what the service does not grant is told by the status and by SUBACK, and costs nobody the connection',
  options,
  async (t) => {
    const { thermo, heard } = await openWorld(t)
    const { agent, port } = await startBridge(thermo)
    const where = ['-h', '127.0.0.1', '-p', port]
    const foreign = 'devices/gateway-1/telemetry/t'
    for (const qos of ['0', '1', '2']) {
      assert.equal((await mosquitto('pub', where, '-q', qos, '-t', foreign, '-m', 'x')).exitCode, 0)
    }
    await agent.line((line) => line.includes('bridge-refused') && line.includes('nothing allows it'))
    const subscribed = await mosquitto('sub', where, '-t', foreign, '-t', '~/cmd/#', '-W', '1', '-d')
    assert.match(subscribed.stdout, /Subscribed \(mid: 1\): 128, 0/)
    await mosquitto('pub', where, '-q', '1', '-t', '~/telemetry/t', '-m', 'fine')
    await heard.until(1)
    const status = await mosquitto('sub', where, '-t', '$touchmark/status', '-C', '1')
    const told = JSON.parse(status.stdout) as {
      readonly refused: number
      readonly lastRefused: { readonly topic: string }
    }
    assert.equal(told.refused, 4)
    assert.equal(told.lastRefused.topic, foreign)
    assert.equal(agent.lines.filter((line) => line.includes('disconnected')).length, 0)
    await agent.stop()
  },
)

test('a revoked device lets no program in, and says why', options, async (t) => {
  const { stage, thermo } = await openWorld(t)
  const { agent, port } = await startBridge(thermo)
  const where = ['-h', '127.0.0.1', '-p', port]
  const listening = mosquitto('sub', where, '-t', '$touchmark/status', '-q', '1', '-W', '30')
  await stage.operator('devices', 'revoke', 'thermo-1', '--reason', 'keyCompromise')
  await agent.line((line) => line.includes('bridge-closed-to-programs'))
  assert.match((await listening).stdout, /"upstream":"refused".*not authorized/)
  assert.equal((await mosquitto('pub', where, '-t', '~/telemetry/t', '-m', 'x')).exitCode, 5)
  await agent.stop()
})

test(
  'a renewal in the middle loses nothing, and what programs want no more is taken back later',
  options,
  async (t) => {
    const { stage, thermo, heard, gateway } = await openWorld(t)
    await makeRenewalDue(thermo)
    const { agent, port } = await startBridge(thermo, false)
    const where = ['-h', '127.0.0.1', '-p', port]
    const commands = mosquitto('sub', where, '-q', '1', '-t', '~/cmd/#', '-C', '1', '-W', '60')
    const sent = Array.from({ length: 300 }, (_, at) => `m${at}`)
    const saying = runForeign('mosquitto_pub', [...where, '-q', '1', '-t', '~/telemetry/n', '-l'], {
      input: sent.join('\n'),
    })
    await agent.line((line) => line.includes(' connected ') && line.includes('generation=2'))
    assert.equal((await saying).exitCode, 0)
    await heard.until(300)
    assert.deepEqual(
      [...new Set(heard.messages)],
      sent.map((message) => `devices/thermo-1/telemetry/n ${message}`),
    )
    await gateway.publishAsync('devices/thermo-1/cmd/x', 'go', { qos: 1 })
    assert.equal((await commands).stdout.trim(), 'go')
    await agent.stop()

    const again = await startBridge(thermo)
    await again.agent.stop()
    const known = readFileSync(join(thermo.data, 'bridge', 'filters.json'), 'utf8')
    assert.equal(known, '[]')
    const taken = await searchAudit(stage, '--event', 'message.unsubscribe', '--device', 'thermo-1')
    assert.ok(taken.some(({ topic }) => topic === 'devices/thermo-1/cmd/#'))
  },
)

test('Eclipse Paho for Python speaks with QoS 1 and 2 and hears', paho, async (t) => {
  const { thermo, heard, gateway } = await openWorld(t)
  const { agent, port } = await startBridge(thermo)
  const program = runForeign('/usr/bin/python3', ['tests/data/clients/paho_local.py', port], { timeout: 60_000 })
  await heard.until(40)
  await gateway.publishAsync('devices/thermo-1/cmd/stop', 'now', { qos: 1 })
  const { exitCode, stdout, stderr } = await program
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^acknowledged 40$/m)
  assert.match(stdout, /^heard ~\/cmd\/stop now$/m)
  assert.equal(heard.messages.length, 40)
  await agent.stop()
})

async function openWorld(t: TestContext) {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const gateway = await connected(t, stage, await enroll(stage, 'gateway-1', 'role=gateway'), { clientId: 'gateway-1' })
  const messages: string[] = []
  gateway.on('message', (topic, payload) => messages.push(`${topic} ${payload.toString()}`))
  await gateway.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  const until = async (count: number): Promise<void> => {
    while (new Set(messages).size < count) await next(gateway, 'message')
  }
  return { stage, thermo, gateway, heard: { messages, until } }
}

/** On a free port. */
async function startBridge(device: StageDevice, isConnected = true): Promise<{ agent: RunningProgram; port: string }> {
  const agent = device.starts('run', '--bridge', '127.0.0.1:0')
  const open = await agent.line((line) => line.includes('bridge-open'))
  if (isConnected) await agent.line((line) => line.includes(' connected '))
  return { agent, port: /at=127\.0\.0\.1:(\d+)/.exec(open)?.[1] ?? assert.fail(open) }
}

function mosquitto(what: 'pub' | 'sub', where: readonly string[], ...args: readonly string[]) {
  return runForeign(`mosquitto_${what}`, [...where, ...args], { timeout: 40_000 })
}
