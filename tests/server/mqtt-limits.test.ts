import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { defaultLimits } from '#broker'
import { parseByteSize } from '#protocol'
import { parseConfigFile, renderConfigFile } from '../../server/config-file.js'
import { readConfig } from '../../server/config.js'
import { brokerLimits, decodeMqttLimits, type MqttLimits } from '../../server/mqtt-limits.js'
import { tableRows } from '../docs/tables.js'
import { connected, emptyStage, enroll } from '../journeys/world.js'
import { temporaryFolder } from './running.js'

test('what is chosen is what the broker goes by, and the rest stays', () => {
  const chosen = limitsIn('{maxConnections: 50000, maxPacketBytes: 1MiB}')
  assert.deepEqual(brokerLimits(chosen), { ...defaultLimits, maxConnections: 50_000, maxPacketBytes: 2 ** 20 })
  assert.deepEqual(brokerLimits({}), defaultLimits)
})

test('a small packet makes a small CONNECT', () => {
  assert.equal(brokerLimits({ maxPacketBytes: 4096 }).maxConnectBytes, 4096)
})

test('what is misspelt, without a unit or out of range is named with its place', () => {
  for (const wrong of ['maxPackets: 1', 'maxPacketBytes: 4096', 'maxPacketBytes: 1GiB', 'maxInflight: 0', 'x: {}']) {
    const place = { code: 'CONFIG_INVALID', message: /^touchmark\.yaml:1:\d+: mqtt\.limits\./ }
    assert.throws(() => limitsIn(`{${wrong}}`), place, wrong)
  }
})

test('limits that cannot both hold are refused before anything is opened', (t) => {
  const file = join(temporaryFolder(t), 'touchmark.yaml')
  for (const [limits, names] of [
    ['{maxPacketBytes: 16MiB, maxQueuedBytes: 1MiB}', /maxPacketBytes to be at most maxQueuedBytes/],
    ['{maxQueuedBytes: 1GiB}', /maxQueuedBytes to be at most maxHeldBytes/],
    ['{maxConnections: 100}', /maxUnconnected to be at most maxConnections/],
  ] as const) {
    writeFileSync(file, `mqtt: {limits: ${limits}}\n`)
    assert.throws(() => readConfig(['--config', file], {}, '0'), { code: 'CONFIG_INVALID', message: names })
  }
})

test('a configuration file that is written anew says the same limits', (t) => {
  const file = join(temporaryFolder(t), 'touchmark.yaml')
  writeFileSync(file, 'mqtt: {limits: {maxInflight: 7, maxHeldBytes: 1GiB}}\n')
  const config = readConfig(['--config', file], {}, '0')
  const again = parseConfigFile(renderConfigFile({ ...config, ekRoots: [] }), 'touchmark.yaml')
  assert.deepEqual(again.mqtt?.limits, { maxInflight: 7, maxHeldBytes: 2 ** 30 })
})

test('the operator’s guide names every limit with its default and its range', () => {
  const rows = tableRows(readFileSync('docs/operator.md', 'utf8'), 'Limit', 'Default')
  const written = rows.map(([name = '', ...values]) => [name.slice(1, -1), ...values.slice(0, 3)])
  assert.throws(() => decodeMqttLimits({ none: 1 }, ''), {
    message: new RegExp(`known here: ${written.map(([name]) => name).join(', ')}\\)`),
  })
  for (const [name = '', preset = '', least = '', most = ''] of written) {
    const chosen = (value: string) => limitsIn(`{${name}: ${value}}`)
    assert.deepEqual(brokerLimits(chosen(preset)), defaultLimits, name)
    for (const end of [least, most]) assert.doesNotThrow(() => chosen(end), `${name}: ${end}`)
    for (const beyond of [next(least, -1), next(most, 1)]) assert.throws(() => chosen(beyond), `${name}: ${beyond}`)
  }
})

test('a device is held to them: a packet above its limit ends the connection, one below it is taken', async (t) => {
  const stage = emptyStage(t)
  mkdirSync(stage.serverData, { recursive: true })
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), 'mqtt: {limits: {maxPacketBytes: 2KiB}}\n')
  await stage.openService()
  const device = await enroll(stage, 'thermo-1')
  const client = await connected(t, stage, device, { clientId: 'thermo-1', protocolVersion: 5 })
  const publish = (bytes: number) =>
    client.publishAsync('devices/thermo-1/telemetry/t', Buffer.alloc(bytes), { qos: 1 })
  assert.equal((await publish(1900))?.cmd, 'publish')
  const ended = new Promise((resolve) => client.once('disconnect', resolve))
  void publish(2100).catch(() => undefined)
  assert.equal(((await ended) as { reasonCode: number }).reasonCode, 0x95) // packet too large (MQTT 5 §3.14.2.1)
})

/** One byte or one more, or less. */
function next(value: string, by: 1 | -1): string {
  const isSize = value.endsWith('B')
  return isSize ? `${parseByteSize(value) + by}B` : String(Number(value) + by)
}

function limitsIn(yaml: string): MqttLimits {
  return parseConfigFile(`mqtt: {limits: ${yaml}}`, 'touchmark.yaml').mqtt?.limits ?? {}
}
