import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { run } from '../../demo/programs.js'
import type { Stage } from '../../demo/stage.js'
import { connected, emptyStage, enroll } from './world.js'

/* Attack case 91: an hour after the backup a token was spent and a thief was locked out. Then the backup comes back. */

test('case 91: with an older store beside its log nobody is let in again, and a spent token stays spent', async (t) => {
  const { stage, token, putBack } = await createBackup(t)
  putBack('store')
  const service = await stage.openService()
  await requireSame(t, stage, token)
  await stage.operator('audit', 'verify')
  assert.equal(await service.stop(), 0)
})

test('case 91: with an older log beside its store nothing starts', async (t) => {
  const { stage, putBack } = await createBackup(t)
  putBack('audit')
  const { exitCode, stderr } = await startOf(stage)
  assert.equal(exitCode, 1)
  assert.match(stderr, /\[REGISTRY_AHEAD_OF_LOG\]$/m)
})

test('case 91: an older log and store together are one older service; who kept a checkpoint of the newer one sees it', async (t) => {
  const { stage, token, putBack } = await createBackup(t)
  const kept = join(stage.folder, 'kept')
  writeFileSync(kept, readFileSync(join(stage.serverData, 'audit', 'log', 'checkpoint')))
  putBack('store')
  putBack('audit')
  const service = await stage.openService()
  const again = await stage.device('again').tries('enroll', '--join', stage.joinUri, '--token', token)
  assert.equal(again.exitCode, 0, 'nothing here knows that it was spent')
  assert.equal(await service.stop(), 0)
  await stage.operator('audit', 'verify') // by itself it is whole
  const against = await stage.tryOperator('audit', 'verify', '--against', kept)
  assert.equal(against.exitCode, 8)
  assert.match(against.stdout, /(fork|rollback): /)
})

/** A service at rest, and what it was before a token was spent and a device revoked. */
async function createBackup(t: TestContext) {
  const stage = emptyStage(t)
  const first = await stage.openService()
  await enroll(stage, 'thief')
  const { token } = await stage.ask<{ token: string }>('tokens', 'create')
  assert.equal(await first.stop(), 0)
  const backup = join(stage.folder, 'backup')
  cpSync(stage.serverData, backup, { recursive: true })

  const second = await stage.openService()
  await stage.device('thermo-1').does('enroll', '--join', stage.joinUri, '--token', token)
  await stage.operator('devices', 'revoke', 'thief', '--reason', 'keyCompromise')
  await requireSame(t, stage, token)
  assert.equal(await second.stop(), 0)
  const putBack = (part: 'store' | 'audit'): void => {
    rmSync(join(stage.serverData, part), { recursive: true })
    cpSync(join(backup, part), join(stage.serverData, part), { recursive: true })
  }
  return { stage, token, putBack }
}

async function requireSame(t: TestContext, stage: Stage, token: string): Promise<void> {
  await assert.rejects(connected(t, stage, stage.device('thief'), { clientId: 'thief' }))
  const again = await stage.device('again').tries('enroll', '--join', stage.joinUri, '--token', token)
  assert.notEqual(again.exitCode, 0)
  assert.match(again.stderr, /TOKEN_(SPENT|REFUSED)/)
}

function startOf({ serverData }: Stage) {
  const ports = ['--https-port', '0', '--mqtt-port', '0', '--websocket-port', '0', '--health-port', '0']
  return run('touchmark', ['up', '--data', serverData, ...ports])
}
