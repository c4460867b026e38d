import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { StageDevice } from '../../demo/stage.js'
import { needs } from '../needs.js'
import { MosquittoBroker, mosquittoProgram } from './mosquitto-broker.js'
import { connected, enroll, openStage, runForeign, temporaryFolder } from './world.js'

const python = '/usr/bin/python3'
const paho = '/usr/lib/python3/dist-packages/paho/mqtt/client.py'

test(
  'a mosquitto with the bridge that the agent wrote carries telemetry to the service',
  needs(mosquittoProgram, 'mosquitto_pub'),
  async (t) => {
    const { edge, folder, heard } = await openWorld(t)
    const [pem, bridge] = [join(folder, 'pem'), join(folder, 'bridge.conf')]
    await write(edge, folder, [
      { kind: 'pem', folder: pem },
      { kind: 'mosquitto', file: bridge, pem },
    ])
    const printed = await edge.does('outputs', '--print', 'mosquitto', '--pem', pem)
    assert.equal(printed, readFileSync(bridge, 'utf8'))
    const local = await MosquittoBroker.open(t, readFileSync(bridge, 'utf8').split('\n'))
    await local.publish('-q', '1', '-t', 'devices/edge-1/telemetry/temperature', '-m', '21.5')
    assert.equal(await heard, 'devices/edge-1/telemetry/temperature 21.5')
  },
)

test('a Python program connects with the module that the agent wrote', needs(python, paho), async (t) => {
  const { edge, folder, heard } = await openWorld(t)
  const pem = join(folder, 'pem')
  await write(edge, folder, [
    { kind: 'pem', folder: pem },
    { kind: 'paho', file: join(folder, 'touchmark_mqtt.py'), pem },
  ])
  const program = [
    'import touchmark_mqtt as touchmark',
    'client = touchmark.new_client("py")',
    'touchmark.connect(client)',
    'client.loop_start()',
    'client.publish(f"devices/{touchmark.DEVICE}/telemetry/temperature", "21.5", qos=1).wait_for_publish()',
    'client.disconnect()',
  ].join('\n')
  const environment = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' }
  const ran = await runForeign(python, ['-c', program], { env: environment, timeout: 60_000 })
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.equal(await heard, 'devices/edge-1/telemetry/temperature 21.5')
})

/** A device whose files others use, and what a gateway hears first of any telemetry. */
async function openWorld(t: TestContext) {
  const stage = await openStage(t)
  const edge = await enroll(stage, 'edge-1')
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const client = await connected(t, stage, gateway, { clientId: 'gateway-1~ear' })
  const heard = new Promise<string>((resolve) => {
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`))
  })
  await client.subscribeAsync('devices/+/telemetry/#', { qos: 1 })
  return { edge, folder: temporaryFolder(t), heard }
}

async function write(device: StageDevice, folder: string, outputs: readonly object[]): Promise<void> {
  const settings = join(folder, 'agent.json')
  writeFileSync(settings, JSON.stringify({ outputs }), { mode: 0o600 })
  await device.does('outputs', '--config', settings)
}
