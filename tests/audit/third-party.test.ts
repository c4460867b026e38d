import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { AuditLog, proveRecord, verifyLog } from '#audit'
import { parseCheckpoint, signCheckpoint, verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { orNothing } from '../../audit/or-nothing.js'
import { needs } from '../needs.js'
import { tamperings, writeSample } from './tampering.js'
import { createForgetfulWorld, day } from './retention/world.js'
import { origin } from './world.js'

/* Whoever does not trust us can check with Go's own packages: third-party/main.go knows none of our code. */

const goPackages = '/usr/share/gocode'
const needed = needs('go', `${goPackages}/src/golang.org/x/mod/sumdb/tlog/tlog.go`)
const { privateKey: signingKey } = generateKeyPairSync('ed25519')
const verifierKey = verifierKeyOf(origin, signingKey)

let folder = ''
let older = ''
const inFolder = (...names: readonly string[]) => join(folder, ...names)

before(async () => {
  if (needed.skip !== undefined) return
  folder = await mkdtemp(join(tmpdir(), 'touchmark-third-party-'))
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: goPackages, CGO_ENABLED: '0' }
  await promisify(execFile)('go', ['build', '-o', inFolder('check'), './tests/audit/third-party'], { env })
  older = inFolder('older-checkpoint')
  await writeFile(older, await writeSample(inFolder('intact'), signingKey))
})
after(() => (folder === '' ? undefined : rm(folder, { recursive: true, force: true })))

/** What it says, and whether it accepts. */
async function check(...args: readonly string[]): Promise<{ accepted: boolean; said: string }> {
  const child = spawn(inFolder('check'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => said.push(bytes.toString()))
  await once(child, 'close')
  return { accepted: child.exitCode === 0, said: said.join('') }
}

test(
  'Go accepts checkpoint, tiles, inclusion and consistency of a log under load, while it grows',
  needed,
  async (t) => {
    const directory = inFolder('growing')
    const program = new URL('./appending-child.js', import.meta.url).pathname
    const pem = signingKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    const child = spawn(process.execPath, [program, directory, pem], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    const seen: string[] = []
    let heard = 0
    let last: string | undefined
    for await (const line of createInterface(child.stdout)) {
      if (++heard % 4000 !== 1) continue
      const note = await readFile(join(directory, 'log/checkpoint'), 'utf8').catch(orNothing(undefined))
      if (note === undefined || note === last) continue // there is a new one every second
      last = note
      const { accepted, said } = await check('log', directory, verifierKey, ...seen)
      assert.ok(accepted, said)
      const kept = inFolder(`checkpoint-${line}`)
      await writeFile(kept, note)
      seen.push(kept)
      if (seen.length === 4) break
    }
    child.kill('SIGKILL')
    if (child.signalCode === null) await once(child, 'close')
    assert.deepEqual(await check('log', directory, verifierKey, ...seen), {
      accepted: true,
      said: `ok: ${parseCheckpoint(await readFile(join(directory, 'log/checkpoint'), 'utf8')).size} records, 4 older checkpoints\n`,
    })
  },
)

test('Go accepts a log without a record', needed, async () => {
  const log = await AuditLog.open({ directory: inFolder('empty'), origin, signingKey, now: Date.now })
  await log.close()
  const expected = { accepted: true, said: 'ok: 0 records, 0 older checkpoints\n' }
  assert.deepEqual(await check('log', inFolder('empty'), verifierKey), expected)
})

test('Go accepts the proof of each record, and no other record for it', needed, async () => {
  const file = inFolder('record.tlog-proof')
  for (const sequence of [0, 1, 255, 256, 511, 512, 698, 699]) {
    const proof = await proveRecord(inFolder('intact'), sequence)
    await writeFile(file, proof)
    assert.deepEqual(await check('proof', file, verifierKey), {
      accepted: true,
      said: `ok: record ${sequence} of 700\n`,
    })
    await writeFile(file, proof.replace(/^index .*$/m, `index ${(sequence + 1) % 700}`))
    assert.equal((await check('proof', file, verifierKey)).accepted, false)
  }
})

test(
  'Go accepts the sample that is tampered with below, and that it goes on from its older checkpoint',
  needed,
  async () => {
    const expected = { accepted: true, said: 'ok: 700 records, 1 older checkpoints\n' }
    assert.deepEqual(await check('log', inFolder('intact'), verifierKey, older), expected)
  },
)

for (const { name, damage } of tamperings.filter(({ onlyWal }) => !onlyWal)) {
  test(`Go refuses ${name}`, needed, async () => {
    const directory = inFolder(name)
    await cp(inFolder('intact'), directory, { recursive: true })
    await damage((path) => join(directory, path))
    const { accepted, said } = await check('log', directory, verifierKey)
    assert.equal(accepted, false, said)
    assert.match(said, /^refused: /)
  })
}

test('Go refuses a foreign key, ours and under our name', needed, async () => {
  const stranger = generateKeyPairSync('ed25519').privateKey
  for (const name of [origin, 'touchmark.test/other']) {
    assert.equal((await check('log', inFolder('intact'), verifierKeyOf(name, stranger))).accepted, false)
  }
})

test('Go refuses an older copy that was put back, and a history that was signed twice', needed, async () => {
  const newest = inFolder('intact/log/checkpoint')
  const { size, root } = parseCheckpoint(await readFile(newest, 'utf8'))
  const [later, forked] = [inFolder('later'), inFolder('forked')]
  await writeFile(later, signCheckpoint({ origin, size: size + 1, root }, signingKey))
  await writeFile(forked, signCheckpoint({ origin, size: size - 1, root }, signingKey))
  for (const [file, outcome] of [
    [later, 'rollback'],
    [forked, 'fork'],
  ] as const) {
    assert.equal((await check('log', inFolder('intact'), verifierKey, file)).accepted, false)
    const { against } = await verifyLog(inFolder('intact'), verifierKey, { against: [await readFile(file, 'utf8')] })
    assert.equal(against[0]?.outcome, outcome)
  }
})

test(
  'Go accepts a log whose oldest records have gone, and no other hash in the place of one of theirs',
  needed,
  async (t) => {
    const world = await createForgetfulWorld(t, [0, 0, 0])
    const log = await world.reopen()
    const before = join(world.directory, 'before')
    await writeFile(before, log.checkpoint())
    world.clock.now = 100 * day
    await world.look({ days: 1 })
    await log.close()
    const checked = () => check('log', world.directory, log.verifierKey, before)
    assert.deepEqual(await world.bundles(), [3])
    assert.deepEqual(await checked(), { accepted: true, said: `ok: ${log.size} records, 1 older checkpoints\n` })

    const tile = join(world.directory, 'log/tile/0/001')
    const hashes = await readFile(tile)
    await writeFile(tile, Buffer.concat([hashes.subarray(32), hashes.subarray(0, 32)]))
    assert.equal((await checked()).accepted, false)
    await writeFile(tile, hashes)
    await rm(join(world.directory, 'log/minimum'))
    assert.equal((await checked()).accepted, false)
  },
)
