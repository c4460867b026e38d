import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { after, type TestContext } from 'node:test'
import { mustRun, run } from '../../demo/programs.js'
import type { Stage, StageDevice } from '../../demo/stage.js'
import { asRoot, fillDisk, mountSmallDisk } from '../small-disk.js'
import { keepPublishing } from './lasting-load.js'
import { connected, emptyStage, enroll, makeRenewalDue, searchAudit } from './world.js'

/* The machine burns down some time after the backup: a device was revoked since, one locked, a token spent. */

const burnt = burnDown()

test('case 91: restored without a newer log nobody comes in before an operator has looked, and no token opens anything', async (t) => {
  const { stage, backup, token, thermo, thief, checkpoint } = await afterTheFire()
  const said = await mustRun('touchmark', ['restore', backup, '--data', stage.serverData, '-o', 'json'])
  const { revoked, locks, reason } = JSON.parse(said) as Restored
  assert.deepEqual([revoked.tokens, revoked.operators], [2, ['admin']], 'and that of the first run')
  assert.deepEqual(
    locks.map(({ profile }) => profile),
    ['default'],
  )
  assert.match(reason ?? '', /who was locked or revoked after it is not known/)

  const service = await stage.openService()
  for (const device of [thermo, thief, stage.device('pump-1')]) await requireOut(t, stage, device)
  const late = await stage.device('late').tries('enroll', '--join', stage.joinUri, '--token', token)
  assert.notEqual(late.exitCode, 0)

  await stage.operator('devices', 'revoke', 'thief', '--reason', 'keyCompromise')
  await stage.operator('locks', 'rm', locks[0]?.lock ?? '')
  await requireOut(t, stage, thief)
  await requireIn(t, stage, thermo)
  assert.deepEqual(await heardOf(t, stage), ['after'], 'what locked devices had retained is gone')
  await requireGoesOn(stage, checkpoint)
  assert.equal(await service.stop(), 0)
})

test('case 91: restored with a newer log it knows what came after the backup: both stay out, all others go on at once', async (t) => {
  const { stage, backup, token, thermo, thief, checkpoint, lost } = await afterTheFire()
  const options = ['--data', stage.serverData, '--log', join(lost, 'audit')]
  const said = await mustRun('touchmark', ['restore', backup, ...options, '-o', 'json'])
  const { treeSize, records, locks } = JSON.parse(said) as Restored
  assert.ok(records > treeSize)
  assert.deepEqual(locks, [])

  const service = await stage.openService()
  for (const device of [thief, stage.device('pump-1')]) await requireOut(t, stage, device)
  await requireIn(t, stage, thermo)
  assert.deepEqual(await heardOf(t, stage), ['before', 'after'], 'what was retained is retained')
  const again = await stage.device('again').tries('enroll', '--join', stage.joinUri, '--token', token)
  assert.match(again.stderr, /TOKEN_(SPENT|REVOKED|REFUSED)/)
  await requireGoesOn(stage, checkpoint)
  const against = join(lost, 'audit', 'log', 'checkpoint')
  await stage.operator('audit', 'verify', '--against', against) // not even a fork
  assert.equal(await service.stop(), 0)
})

test('case 91: of whom the one who restores says that they were revoked, they are out, and nobody else waits', async (t) => {
  const { stage, backup, thermo, thief } = await afterTheFire()
  const options = ['--data', stage.serverData, '--admit', '--revoked', 'thief', '--revoked', 'pump-1']
  const said = await mustRun('touchmark', ['restore', backup, ...options, '-o', 'json'])
  assert.deepEqual((JSON.parse(said) as Restored).revoked.devices, ['thief', 'pump-1'])
  const service = await stage.openService()
  for (const device of [thief, stage.device('pump-1')]) await requireOut(t, stage, device)
  await requireIn(t, stage, thermo)
  assert.deepEqual(await heardOf(t, stage), ['before', 'after'])
  assert.equal(await service.stop(), 0)
})

test('a policy that came into force after the backup is not in it: devices wait until it was applied again', async (t) => {
  const stage = emptyStage(t)
  const first = await stage.openService()
  const thermo = await enroll(stage, 'thermo-1')
  const backup = join(stage.folder, 'b.tar')
  await stage.operator('backup', backup)
  const policy = join(stage.folder, 'policy.yaml')
  const source = readFileSync(join(stage.serverData, 'policy.yaml'), 'utf8')
  writeFileSync(policy, `${source.replace('version: 1 ', 'version: 2 ')}\n# stricter\n`)
  await stage.operator('policy', 'apply', policy)
  const lost = await lose(stage, () => first.stop())

  const options = ['--data', stage.serverData, '--log', join(lost, 'audit')]
  const { locks, reason } = JSON.parse(
    await mustRun('touchmark', ['restore', backup, ...options, '-o', 'json']),
  ) as Restored
  assert.match(reason ?? '', /policy version 2/)
  assert.equal(locks.length, 1)
  await stage.openService()
  await requireOut(t, stage, thermo)
  await stage.operator('policy', 'apply', policy)
  await stage.operator('locks', 'rm', locks[0]?.lock ?? '')
  await requireIn(t, stage, thermo)
})

test('what is no whole backup leaves no folder to start from, nor does a folder in the making', async () => {
  const { stage, backup, lost } = await afterTheFire()
  const foreign = join(stage.folder, 'foreign')
  cpSync(join(lost, 'audit'), foreign, { recursive: true })
  truncateSync(join(foreign, 'log', 'checkpoint'), 40)

  const cut = join(stage.folder, 'cut.tar')
  writeFileSync(cut, readFileSync(backup).subarray(0, -4096))
  const bent = join(stage.folder, 'bent.tar')
  const bytes = readFileSync(backup)
  bytes[bytes.length - 8192] = (bytes[bytes.length - 8192] ?? 0) ^ 1
  writeFileSync(bent, bytes)
  const to = join(stage.folder, 'new')
  const cases: readonly (readonly [code: string, exitCode: number, ...args: string[]])[] = [
    ['BACKUP_UNFINISHED', 8, cut, '--data', to],
    ['BACKUP_INVALID', 8, bent, '--data', to],
    ['BACKUP_INVALID', 8, join(lost, 'policy.yaml'), '--data', to],
    ['FOLDER_UNUSABLE', 1, join(stage.folder, 'nowhere.tar'), '--data', to],
    ['RESTORE_NOT_EMPTY', 1, backup, '--data', lost],
    ['DEVICE_UNKNOWN', 1, backup, '--data', to, '--admit', '--revoked', 'nobody'],
    ['RESTORE_LOG_UNFIT', 1, backup, '--data', to, '--log', foreign],
  ]
  for (const [code, exitCode, ...args] of cases) {
    const refused = await run('touchmark', ['restore', ...args])
    assert.deepEqual([refused.exitCode, refused.stderr.includes(`[${code}]`)], [exitCode, true], refused.stderr)
    assert.deepEqual(existsSync(to) ? readdirSync(to) : [], [])
  }

  await mustRun('touchmark', ['restore', backup, '--data', to, '--admit'])
  writeFileSync(join(to, '.restoring'), '')
  const ports = ['--https-port', '0', '--mqtt-port', '0', '--websocket-port', '0', '--health-port', '0']
  const early = await run('touchmark', ['up', '--data', to, ...ports])
  assert.deepEqual([early.exitCode, early.stderr.includes('[RESTORE_UNFINISHED]')], [1, true])
})

test('on a disk without room there is no backup, nor anything of a restore', asRoot(), async (t) => {
  const stage = emptyStage(t)
  await stage.openService()
  const full = join(stage.folder, 'full')
  const unmount = mountSmallDisk(full, 1)
  stage.track({ stop: async () => unmount() })
  fillDisk(full, 8192)
  const refused = await stage.tryOperator('backup', join(full, 'b.tar'))
  assert.deepEqual([refused.exitCode, refused.stderr.includes('[CANNOT_WRITE]')], [1, true], refused.stderr)

  const backup = join(stage.folder, 'b.tar')
  await stage.operator('backup', backup)
  const to = join(full, 'data')
  const restored = await run('touchmark', ['restore', backup, '--data', to])
  assert.deepEqual(
    [restored.exitCode, /\[(STORE_FULL|STORE_FAILED|FOLDER_UNUSABLE)\]/.test(restored.stderr)],
    [1, true],
  )
  assert.deepEqual(
    readdirSync(full, { recursive: true }).filter((name) => !String(name).endsWith('.filler')),
    ['data'],
  )
})

/** What `touchmark restore -o json` says. */
interface Restored {
  readonly treeSize: number
  readonly records: number
  readonly revoked: {
    readonly tokens: number
    readonly operators: readonly string[]
    readonly devices: readonly string[]
  }
  readonly locks: readonly { readonly lock: string; readonly profile: string }[]
  readonly reason?: string
}

/** A service that is no more: its backup, taken under load, what happened after it, and its folder, which only a test has. */
async function burnDown() {
  const stage = emptyStage({ after })
  const service = await stage.openService()
  const [thermo, thief] = [await enroll(stage, 'thermo-1'), await enroll(stage, 'thief')]
  await enroll(stage, 'pump-1')
  await enroll(stage, 'gateway-1', 'role=gateway')
  const { token } = await stage.ask<{ token: string }>('tokens', 'create')
  const speaker = await connected({ after }, stage, thermo, { clientId: 'thermo-1' })
  await speaker.publishAsync('devices/thermo-1/state', 'before', { qos: 1, retain: true })
  const load = keepPublishing(speaker, { prefix: 'devices/thermo-1/telemetry', qos: 1, atOnce: 50 })
  while (load.acknowledged.size < 1000) await load.progress()
  const backup = join(stage.folder, 'b.tar')
  await stage.operator('backup', backup)
  await load.finish()
  speaker.end(true)
  const checkpoint = join(stage.folder, 'checkpoint')
  const manifest = execFileSync('tar', ['xOf', backup, 'backup.json'], { encoding: 'utf8' })
  writeFileSync(checkpoint, (JSON.parse(manifest) as { checkpoint: string }).checkpoint)

  await stage.operator('devices', 'revoke', 'thief', '--reason', 'keyCompromise')
  await stage.operator('locks', 'add', '--device', 'pump-1', '--reason', 'stolen')
  await stage.device('spender').does('enroll', '--join', stage.joinUri, '--token', token)
  const lost = await lose(stage, () => service.stop('SIGKILL'))
  const devices = join(stage.folder, 'devices')
  cpSync(devices, `${devices}.then`, { recursive: true, verbatimSymlinks: true })
  return { stage, backup, token, thermo, thief, checkpoint, lost, devices }
}

/** As it was when the service was lost: nothing restored yet, and no device has asked again. */
async function afterTheFire() {
  const { devices, ...all } = await burnt
  rmSync(all.stage.serverData, { recursive: true, force: true })
  rmSync(devices, { recursive: true })
  cpSync(`${devices}.then`, devices, { recursive: true, verbatimSymlinks: true })
  return all
}

/** Where the data folder is afterwards. */
async function lose(stage: Stage, stop: () => Promise<unknown>): Promise<string> {
  await stop()
  const lost = join(stage.folder, 'lost')
  renameSync(stage.serverData, lost)
  return lost
}

async function requireOut(t: TestContext, stage: Stage, device: StageDevice): Promise<void> {
  await assert.rejects(connected(t, stage, device, { clientId: 'x' }))
}

/** It connects with what it has, and renews. */
async function requireIn(t: TestContext, stage: Stage, device: StageDevice): Promise<void> {
  const client = await connected(t, stage, device, { clientId: 'thermo-1' })
  await client.publishAsync('devices/thermo-1/telemetry/back', 'x', { qos: 1 })
  client.end(true)
  await makeRenewalDue(device)
  const agent = device.starts('run')
  await agent.line((line) => line.includes(' connected ') && line.includes('generation=2'))
  await agent.stop()
}

/** What a gateway hears of a device: what was retained, and what it says now. */
async function heardOf(t: TestContext, stage: Stage): Promise<readonly string[]> {
  const gateway = await connected(t, stage, stage.device('gateway-1'), { clientId: 'gateway-1' })
  const heard: string[] = []
  const all = new Promise<void>((resolve) => {
    gateway.on('message', (_topic, payload) => {
      heard.push(payload.toString())
      if (payload.toString() === 'after') resolve()
    })
  })
  await gateway.subscribeAsync('devices/+/state', { qos: 1 })
  const speaker = await connected(t, stage, stage.device('thermo-1'), { clientId: 'thermo-1' })
  await speaker.publishAsync('devices/thermo-1/state', 'after', { qos: 1 })
  await all
  return heard
}

/** The log is the one of the backup, goes on behind it, and says where it was put back. */
async function requireGoesOn(stage: Stage, checkpoint: string): Promise<void> {
  await stage.operator('audit', 'verify', '--against', checkpoint)
  assert.equal((await searchAudit(stage, '--event', 'service.restore')).length, 1)
}
