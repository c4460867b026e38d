import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { run } from '../../demo/programs.js'
import type { Stage } from '../../demo/stage.js'
import { connected, emptyStage, enroll, next, openStage, searchAudit } from './world.js'

const own = 'devices/thermo-1/telemetry'

test('a second server on the folder is told that it is locked, and devices of the first notice nothing', async (t) => {
  const stage = await openStage(t)
  const thermo = await enroll(stage, 'thermo-1')
  const client = await connected(t, stage, thermo, { clientId: 'thermo-1' })
  const ports = ['--https-port', '0', '--mqtt-port', '0', '--websocket-port', '0', '--health-port', '0']
  const second = await run('touchmark', ['up', '--data', stage.serverData, ...ports])
  assert.deepEqual([second.exitCode, second.stdout], [1, ''])
  assert.match(second.stderr, /\[STORE_LOCKED\]$/m)
  await client.publishAsync(`${own}/t`, 'still here', { qos: 1 })
  assert.equal((await searchAudit(stage, '--event', 'server.start')).length, 1)
})

test('after SIGTERM and another start, devices come back with what they have, and nothing else has changed', async (t) => {
  const stage = emptyStage(t)
  const first = await stage.openService()
  const thermo = await enroll(stage, 'thermo-1')
  const listener = await connected(t, stage, thermo, { clientId: 'thermo-1', clean: false, reconnectPeriod: 20 })
  await listener.subscribeAsync('devices/thermo-1/cmd/#', { qos: 1 })
  const policy = join(stage.folder, 'policy.json')
  const source = (await stage.ask<{ source: string }>('policy', 'show')).source
  writeFileSync(policy, source.replace('version: 1', 'version: 2'))
  await stage.operator('policy', 'apply', policy)
  await stage.operator('tokens', 'create', '--device', 'thermo-2')
  const before = await stateOf(stage)

  const back = next(listener, 'close').then(() => next(listener, 'connect'))
  assert.equal(await first.stop(), 0)
  await stage.openService()
  await back
  assert.deepEqual(await stateOf(stage), before)
  const gateway = await enroll(stage, 'gateway-1', 'role=gateway')
  const heard = next(listener, 'message') // by the subscription that was made before
  await gateway.does('publish', 'devices/thermo-1/cmd/blink', 'now')
  await heard
  await stage.operator('audit', 'verify') // fails when the log is not what was signed
})

async function stateOf(stage: Stage) {
  const policy = await stage.ask('policy', 'show')
  const tokens = await stage.ask<readonly { readonly id: string }[]>('tokens', 'ls')
  const devices = (await stage.ask<readonly Record<string, unknown>[]>('devices', 'ls')).map(
    ({ online: _online, seen: _seen, ...device }) => device,
  )
  return { policy, tokens: new Map(tokens.map((token) => [token.id, token])), devices }
}
