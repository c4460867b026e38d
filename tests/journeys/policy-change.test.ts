import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { MqttClient } from 'mqtt'
import type { PolicyImpact, SessionView } from '#protocol'
import { defaultPolicy } from '#policy'
import { connected, enroll, openStage, searchAudit } from './world.js'

/** The rule that the story adds, in the words of docs/operator.md. */
const addition = `      - id: alarm
        actions: [publish]
        topics: ["devices/\${device.id}/alarm"]
`
const after = '        topics: ["devices/${device.id}/telemetry/#"]\n'
const changed = defaultPolicy.replace('version: 1 ', 'version: 2 ').replace(after, `${after}${addition}`)
const guide = readFileSync(new URL('../../../docs/operator.md', import.meta.url), 'utf8')

test('a device is denied, explained, tried, and allowed, on one and the same connection, as the guide shows it', async (t) => {
  const stage = await openStage(t)
  const pump = await enroll(stage, 'pump-7')
  const client = await connected(t, stage, pump, { clientId: 'pump-7', protocolVersion: 5 })
  let closed = 0
  client.on('close', () => closed++)
  const before = await sessionOf()

  assert.match(await publish(client, 'devices/pump-7/alarm'), /^Publish error: Not authorized$/)
  const explained = await stage.tryOperator('policy', 'can', 'pump-7', 'publish', 'devices/pump-7/alarm', '--explain')
  assert.equal(explained.exitCode, 4)
  assert.match(explained.stdout, /^because +no_rule: nothing allows it$/m)
  assert.match(explained.stdout, /^nearest +device\/state  policy\.yaml:\d+:9  devices\/pump-7\/state$/m)
  isInGuide(explained.stdout, /^because.*$|^nearest.*$|^allow device\/.*$/gm)

  const file = join(stage.folder, 'plant.yaml')
  await writeFile(file, changed.replace(/^ +retain: true\n/m, ''))
  const compared = await stage.tryOperator('policy', 'diff', file)
  isInGuide(compared.stdout, /^(?:WHO|device) .*$/gm)
  isInGuide(compared.stderr, /^(?:From version| {2}\w).*$/gm)
  await writeFile(file, changed)
  const tried = await stage.tryOperator('policy', 'apply', '--dry-run', '--fail-on-loss', file)
  assert.equal(tried.exitCode, 0, tried.stderr)
  assert.match(tried.stderr, /Nothing was changed \(--dry-run\)\./)
  isInGuide(tried.stdout, /^(?:allow →|deny →|devices|live).*$|^gain .*$/gm)
  const { impact } = await stage.ask<{ impact: PolicyImpact }>('policy', 'apply', '--dry-run', file)
  assert.deepEqual([impact.devices, impact.sessions.gain], [{ gain: 1, lose: 0 }, 1])
  assert.match(await publish(client, 'devices/pump-7/alarm'), /Not authorized/, 'a dry run changes nothing')

  await stage.operator('policy', 'apply', file, '--comment', 'pumps may raise alarms')
  assert.equal(await publish(client, 'devices/pump-7/alarm'), 'acknowledged')
  assert.deepEqual([closed, (await sessionOf()).since], [0, before.since])
  const told = await searchAudit(stage, '--device', 'pump-7', '--topic', 'devices/pump-7/alarm')
  assert.equal(told[0]?.decision, 'deny')
  assert.ok(told.some(({ decision }) => decision === 'allow'))

  async function sessionOf(): Promise<SessionView> {
    const [session] = await stage.ask<readonly SessionView[]>('sessions', 'ls')
    assert.ok(session)
    return session
  }
})

test('who would lose is named before it happens, and a script is stopped by it', async (t) => {
  const stage = await openStage(t)
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const client = await connected(t, stage, gateway, { clientId: 'gateway-1~in', protocolVersion: 5 })
  await client.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  await publish(client, 'devices/pump-7/cmd/stop')
  const file = join(stage.folder, 'plant.yaml')
  const narrower = defaultPolicy
    .replace('version: 1 ', 'version: 2 ')
    .replace('"devices/+/telemetry/#", "devices/+/state"', '"devices/+/state"')
    .replace(/^ {2}- .*(devices\/\+\/telemetry|\$share).*\n/gm, '')
  await writeFile(file, narrower)

  const stopped = await stage.tryOperator('policy', 'apply', file, '--dry-run', '--fail-on-loss')
  assert.equal(stopped.exitCode, 8, stopped.stderr)
  assert.match(stopped.stdout, /^live subscriptions +1 of 1 lose, 0 gain$/m)
  assert.match(stopped.stdout, /^lose +1 +gateway-1 .*live subscription +devices\/\+\/telemetry\/#/m)
  assert.match(stopped.stderr, /with this policy 1 device would lose something \[CHECK_FAILED\]/)
  assert.equal((await stage.tryOperator('policy', 'apply', file, '--fail-on-loss')).exitCode, 2)
  const [session] = await stage.ask<readonly SessionView[]>('sessions', 'ls')
  assert.equal(session?.subscriptions.length, 1, 'it has lost nothing yet')
})

test('what the log of a running service suggests is a policy that takes nothing from who is there', async (t) => {
  const stage = await openStage(t)
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const client = await connected(t, stage, gateway, { clientId: 'gateway-1', protocolVersion: 5 })
  await client.subscribeAsync('devices/+/state', { qos: 1 })
  await publish(client, 'devices/gateway-1/telemetry/heat')
  await publish(client, 'devices/pump-7/nothing')

  const file = join(stage.folder, 'proposal.yaml')
  const { exitCode, stdout, stderr } = await stage.tryOperator('policy', 'suggest', '--file', file)
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^gateway\/command +remove/m)
  assert.match(stdout, /^\+ +topics: .*devices\/\$\{device\.id\}\/telemetry\/heat/m)
  assert.match(stderr, /^Looked from .* records, \d+ of what devices were allowed\.$/m)
  assert.match(stderr, /^The log begins at .*, not 30 days ago/m)
  assert.match(stderr, /^Refused: 1; nothing is proposed/m)
  assert.match(stderr, /^This test of the policy would fail: proposal\.yaml:\d+/m)
  const before = await stage.ask<{ version: number }>('policy', 'show')
  assert.equal(before.version, 1, 'it is not applied by itself')

  const proposal = readFileSync(file, 'utf8')
  await writeFile(file, proposal.slice(0, proposal.indexOf('\ntests:')))
  const tried = await stage.tryOperator('policy', 'apply', file, '--dry-run', '--fail-on-loss')
  assert.match(tried.stdout, /^allow → deny +0$/m, tried.stderr)
})

/** What the client is told. */
async function publish(client: MqttClient, topic: string): Promise<string> {
  try {
    await client.publishAsync(topic, 'hot', { qos: 1 })
    return 'acknowledged'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Each line, with any spaces between its words, stands in the guide. */
function isInGuide(output: string, lines: RegExp): void {
  const found = output.match(lines) ?? []
  assert.ok(found.length > 0, output)
  const words = (text: string) => text.replace(/ +/g, ' ')
  for (const line of found) assert.ok(words(guide).includes(words(line)), `docs/operator.md does not have:\n${line}`)
}
