import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { DeviceView } from '#protocol'
import { enroll, makeRenewalDue, openStage } from './world.js'

test('the agent says at the join what its machine is, and at a renewal what its settings have added since', async (t) => {
  const stage = await openStage(t)
  const device = await enroll(stage, 'plc-1')
  const reported = async () => (await stage.ask<DeviceView>('devices', 'show', 'plc-1')).reported ?? {}
  const joined = await reported()
  assert.ok(joined['os'] && joined['kernel'] && joined['agent'])
  const settings = join(stage.folder, 'agent.json')
  writeFileSync(settings, JSON.stringify({ facts: { 'service.opcua': '4840/tcp' } }), { mode: 0o600 })
  await makeRenewalDue(device)
  const agent = device.starts('run', '--config', settings)
  await agent.line((line) => line.includes(' connected ') && line.includes('generation=2'))
  assert.deepEqual(await reported(), { ...joined, 'service.opcua': '4840/tcp' })
  const found = await stage.ask<readonly DeviceView[]>('devices', 'ls', '-q', 'fact.service.opcua=4840* is:online')
  assert.deepEqual(
    found.map(({ id }) => id),
    ['plc-1'],
  )
  await agent.stop()
})
