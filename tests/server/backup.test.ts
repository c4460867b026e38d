import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type AuditLog, verifyLog } from '#audit'
import { readBackup } from '#backup'
import { type OperatorFacts, parseFingerprint, parseOperatorName, parseTrustDomain, routes } from '#protocol'
import { createMemoryStore } from '#store'
import { Backups } from '../../server/backup/backups.js'
import { appendMany, createWorld as createLogWorld } from '../audit/world.js'
import { policyFor } from './policies.js'
import { run, temporaryFolder, up } from './running.js'
import { type Client, createWorld } from './world.js'

const by: OperatorFacts = { operator: parseOperatorName('ada') }

test('a backup holds what a service needs to go on, what only it may know to nobody but the one who took it', async (t) => {
  const folder = temporaryFolder(t)
  const server = await up(folder)
  const taken = await run(folder, ['-o', 'json', 'backup', join(folder, 'b.tar'), '--comment', 'nightly'])
  assert.equal(taken.code, 0, taken.stderr)
  const { bytes, sha256, records } = JSON.parse(taken.stdout) as { bytes: number; sha256: string; records: number }
  const { size, mode } = statSync(join(folder, 'b.tar'))
  assert.deepEqual([size, mode & 0o777], [bytes, 0o600])
  assert.ok(execFileSync('sha256sum', [join(folder, 'b.tar')], { encoding: 'utf8' }).startsWith(sha256))

  execFileSync('tar', ['xf', 'b.tar', '--one-top-level=out'], { cwd: folder })
  const out = join(folder, 'out')
  execFileSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], { cwd: out })
  for (const name of ['ca/issuing.pem', 'ca/root.pem', 'keys/audit.key', 'touchmark.yaml', 'policy.yaml']) {
    assert.deepEqual(readFileSync(join(out, name)), readFileSync(join(folder, 'data', name)), name)
  }
  const all = readdirSync(out, { recursive: true }).map(String)
  assert.deepEqual(
    all.filter((name) => /payload|operator|wal|idx/.test(name)),
    [],
  )
  const verified = await run(folder, ['audit', 'verify', join(out, 'audit')])
  assert.match(verified.stdout, new RegExp(`^ok: ${records} records`))
  const found = await run(folder, ['-o', 'json', 'audit', 'search', 'event:backup.take'])
  const { operator, comment, sequence } = JSON.parse(found.stdout) as Record<string, unknown>
  assert.deepEqual([operator, comment], ['admin', 'nightly'])
  assert.ok(Number(sequence) < records, 'its own record is in it')

  const touchmark = `${process.execPath} ${fileURLToPath(new URL('../../bin/touchmark.js', import.meta.url))}`
  const pipe = `${touchmark} backup - | ${touchmark} restore - --data piped --admit`
  const piped = spawnSync('bash', ['-o', 'pipefail', '-c', pipe], {
    ...{ cwd: folder, encoding: 'utf8' },
    env: { ...process.env, TOUCHMARK_HOME: join(folder, 'data') },
  })
  assert.deepEqual([piped.status, /^restored +touchmark\.local/.test(piped.stdout)], [0, true], piped.stderr)

  const again = await run(folder, ['backup', join(folder, 'b.tar')])
  assert.deepEqual([again.code, /stays as it is/.test(again.stderr)], [1, true])
  const nowhere = await run(folder, ['backup', join(folder, 'nowhere', 'b.tar')])
  assert.deepEqual([nowhere.code, /\[CANNOT_WRITE\]/.test(nowhere.stderr)], [1, true])
  assert.equal(await server.stop(), 0)
})

test('while the log grows, its rows and its log are of one moment: the log has what the rows were made of', async (t) => {
  const { backups, log, store } = await openBackups(t)
  await appendMany(log, 500)
  await store.commit({ puts: [['a', Buffer.from(String(log.size - 1))]] })
  const taking = collected(backups.take(by))
  const appending = appendMany(log, 500)
  const { rows, files, manifest } = await taking
  await appending
  assert.match(rows, /499/)
  assert.ok(manifest.treeSize > 500)
  const copy = temporaryFolder(t)
  for (const { name, bytes } of files) {
    mkdirSync(dirname(join(copy, name)), { recursive: true })
    writeFileSync(join(copy, name), bytes)
  }
  const report = await verifyLog(join(copy, 'audit'), log.verifierKey, { against: [manifest.checkpoint] })
  assert.deepEqual([report.firstBad, report.size], [undefined, manifest.treeSize])
})

test('of two at a time the second is refused, and when the reader of the first has gone there can be another', async (t) => {
  const { backups, held } = await openBackups(t)
  const first = backups.take(by)
  await first.next()
  assert.equal(held(), 1)
  await assert.rejects(backups.take(by).next(), { code: 'BACKUP_UNDER_WAY' })
  await first.return()
  assert.equal(held(), 0)
  await collected(backups.take(by))
  assert.equal(held(), 0)
})

test('who stops reading holds nothing up for long, and has no backup', async (t) => {
  const { backups, held } = await openBackups(t, { patienceMs: 1 })
  const pieces = backups.take(by)
  await pieces.next()
  while (held() > 0) await setImmediate()
  await assert.rejects(pieces.next(), { code: 'BACKUP_NOT_READ' })
})

test('nothing is given out that is not on record', async (t) => {
  const { backups, log, held } = await openBackups(t)
  await log.close()
  await assert.rejects(backups.take(by).next(), { code: 'AUDIT_CLOSED' })
  assert.equal(held(), 0)
})

test('what breaks off in the middle says why, and is no backup; nor is there one for who may not', async (t) => {
  const { backups } = await openBackups(t)
  const world = await createWorld(t, {
    takeBackup: async function* (by) {
      const inner = backups.take(by)
      yield (await inner.next()).value ?? new Uint8Array()
      await inner.return()
      throw new Error('the disk is bad')
    },
  })
  const ada = await world.operator()
  await assert.rejects(readAll(await bodyOf(world, ada)), { code: 'BACKUP_UNFINISHED', message: /the log says what/ })

  await world.call('applyPolicy', ada, { type: 'application/yaml', body: policyFor(['status.read', 'audit.*']) })
  const bob = await world.operator('bob')
  assert.equal((await world.call('takeBackup', bob, { body: {} })).status, 403)
  assert.equal((await world.call('takeBackup', undefined, { body: {} })).status, 401)
})

/** Over a real log, with a store in memory. */
async function openBackups(t: TestContext, options: { readonly patienceMs?: number } = {}) {
  const world = await createLogWorld(t)
  const log: AuditLog = await world.open()
  const store = createMemoryStore()
  let held = 0
  const retention = {
    hold: async () => {
      held++
      return () => void held--
    },
  }
  const backups = new Backups({
    ...{ dataFolder: world.directory, store, audit: log, retention, epoch: () => 0, now: Date.now, ...options },
    identity: () => ({
      ...{ version: '0', trustDomain: parseTrustDomain('touchmark.test') },
      rootSpki: parseFingerprint('ab'.repeat(32)),
    }),
  })
  return { backups, log, store, held: () => held }
}

async function collected(pieces: AsyncIterable<Uint8Array>) {
  const { manifest, members } = await readBackup(pieces)
  const all = []
  for await (const member of members) all.push(member)
  const rows = all.filter(({ name }) => name.startsWith('store/')).map(({ bytes }) => bytes.toString())
  return { manifest, rows: rows.join(''), files: all }
}

async function readAll(bytes: Buffer): Promise<void> {
  await collected(
    (async function* () {
      yield bytes
    })(),
  )
}

function bodyOf({ port, ca }: { readonly port: number; readonly ca: string }, client: Client): Promise<Buffer> {
  const { method, path } = routes.takeBackup
  return new Promise((resolve, reject) => {
    const asking = request({
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      ca,
      ...client,
      method,
      path,
      agent: false,
    })
    asking.setHeader('content-type', 'application/json')
    asking.on('error', reject)
    asking.on('response', (response) => void buffer(response).then(resolve, reject))
    asking.end('{}')
  })
}
