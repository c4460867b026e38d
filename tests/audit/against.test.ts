import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Comparison, verifyLog } from '#audit'
import { encodeEntry } from '../../audit/entries/write-entry.js'
import { signCheckpoint, verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { TiledTree } from '../../audit/tree/tiled-tree.js'
import { changeFile, flip, sample, writeSample } from './tampering.js'
import { origin, published } from './world.js'

let folder = ''
let older = ''
let newest = ''
const { privateKey: signingKey } = generateKeyPairSync('ed25519')
const verifierKey = verifierKeyOf(origin, signingKey)

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'touchmark-against-'))
  older = await writeSample(join(folder, 'log'), signingKey)
  newest = await readFile(join(folder, 'log/log/checkpoint'), 'utf8')
})
after(() => rm(folder, { recursive: true, force: true }))

test('a log begins with each checkpoint that it ever gave out', async () => {
  const empty = signCheckpoint({ origin, size: 0, root: new TiledTree().root() }, signingKey)
  const { ok, against } = await verifyLog(join(folder, 'log'), verifierKey, { against: [older, newest, empty] })
  assert.ok(ok)
  assert.deepEqual(outcomes(against), ['prefix', 'prefix', 'prefix'])
  assert.deepEqual(
    against.map(({ size }) => size),
    [sample.older, sample.covered, 0],
  )
})

test('case 61: an older copy that was put back verifies by itself; only a checkpoint held elsewhere shows the roll-back', async () => {
  const directory = join(folder, 'rolled-back')
  await writeHistory(directory, sample.older)
  await writeFile(join(directory, 'log/checkpoint'), older)
  assert.ok((await verifyLog(directory, verifierKey)).ok)
  const { ok, firstBad, against } = await verifyLog(directory, verifierKey, { against: [older, newest] })
  assert.deepEqual([ok, firstBad, outcomes(against)], [false, undefined, ['prefix', 'rollback']])
  assert.match(against[1]?.what ?? '', /700 records, the log only 300/)
})

test('case 61: a history that was written anew and signed with the same key is a fork for who holds a checkpoint, at any size', async () => {
  const directory = join(folder, 'forked')
  await writeHistory(directory, 800, 'forged')
  assert.ok((await verifyLog(directory, verifierKey)).ok)
  const { ok, firstBad, against } = await verifyLog(directory, verifierKey, { against: [older, newest] })
  assert.deepEqual([ok, firstBad, outcomes(against)], [false, undefined, ['fork', 'fork']])
  const equal = join(folder, 'forked-equal')
  await writeHistory(equal, sample.covered, 'forged')
  assert.deepEqual(outcomes((await verifyLog(equal, verifierKey, { against: [newest] })).against), ['fork'])
})

test('what nobody of ours signed says nothing, and so does a log that is damaged itself', async () => {
  const foreign = signCheckpoint({ origin, size: 1, root: Buffer.alloc(32) }, generateKeyPairSync('ed25519').privateKey)
  const { ok, against } = await verifyLog(join(folder, 'log'), verifierKey, { against: [foreign, 'no note', older] })
  assert.deepEqual([ok, outcomes(against)], [false, ['untrusted', 'untrusted', 'prefix']])
  const damaged = join(folder, 'damaged')
  await cp(join(folder, 'log'), damaged, { recursive: true })
  await changeFile(join(damaged, 'log/tile/0/001'), (bytes) => flip(bytes, 9))
  const report = await verifyLog(damaged, verifierKey, { against: [older] })
  assert.deepEqual([report.ok, report.firstBad?.index, outcomes(report.against)], [false, 256, ['undecided']])
})

function outcomes(against: readonly Comparison[]): readonly string[] {
  return against.map(({ outcome }) => outcome)
}

/** A log of its own, or with a topic of its own, signed with the same key. */
async function writeHistory(directory: string, size: number, topic?: string): Promise<void> {
  const tree = new TiledTree()
  for (let index = 0; index < size; index++) {
    const event = published(index, topic === undefined ? {} : { topic })
    tree.append(encodeEntry({ sequence: index, time: 0 }, event))
  }
  await writeTree(directory, tree)
}

async function writeTree(directory: string, tree: TiledTree): Promise<void> {
  const { size } = tree
  const files = [...tree.takeComplete(), ...tree.partials()]
  const note = signCheckpoint({ origin, size, root: tree.root() }, signingKey)
  for (const { path, bytes } of [...files, { path: 'checkpoint', bytes: Buffer.from(note) }]) {
    const file = join(directory, 'log', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
}
