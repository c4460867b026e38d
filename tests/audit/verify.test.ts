import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AuditLog, verifyLog } from '#audit'
import { signCheckpoint, verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { createDisk } from '../../audit/writing/disk.js'
import { encodeEntry } from '../../audit/entries/entry.js'
import { EntryBuffer } from '../../audit/entries/entry-buffer.js'
import { TiledTree } from '../../audit/tree/tiled-tree.js'
import { decodeBundle, encodeBundle } from '../../audit/tree/tiles.js'
import { LogWriter } from '../../audit/writing/writer.js'
import { origin, published } from './world.js'

/** 700 records below a checkpoint, and 20 above it in the write-ahead log, which holds the last whole bundles from 512 on. */
const covered = 700
const uncovered = 20
const olderSegment = 'wal/0000000000000300.seg'
const walSegment = 'wal/0000000000000700.seg'

let folder = ''
const { privateKey: signingKey } = generateKeyPairSync('ed25519')
const verifierKey = verifierKeyOf(origin, signingKey)

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'touchmark-verify-'))
  let size = 0
  for (const end of [300, covered, covered + uncovered]) {
    const { writer } = await LogWriter.open({ directory: intact(), origin, signingKey }, createDisk())
    append(writer, size, end)
    if (end <= covered) await writer.checkpoint()
    await writer.close()
    size = end
  }
})
after(() => rm(folder, { recursive: true, force: true }))

test('an intact log passes, with its size, its root and what is not covered yet', async () => {
  const checked: number[] = []
  const report = await verifyLog(intact(), verifierKey, { onProgress: (count) => checked.push(count) })
  assert.equal(report.ok, true)
  assert.equal(report.size, covered)
  assert.equal(report.uncovered, uncovered)
  assert.match(report.root, /^[0-9a-f]{64}$/)
  assert.deepEqual(checked, [512, 700])
})

const bundle1 = 'log/tile/entries/001'
const lastBundle = 'log/tile/entries/002.p/188'

damaged('a flipped byte in an entry', 300, (at) => changeBundle(at(bundle1), (entries) => flip(entries[44], 30)))
damaged('a missing bundle', 256, (at) => rm(at(bundle1)))
damaged('a bundle cut by one byte', 511, (at) => cut(at(bundle1), 1))
damaged('a partial bundle cut by one byte', 699, (at) => cut(at(lastBundle), 1))
damaged('bytes after the last entry', 700, (at) => writeFile(at(lastBundle), Buffer.of(0, 0), { flag: 'a' }))
damaged('two entries swapped', 261, (at) => changeBundle(at(bundle1), (entries) => swap(entries, 5, 9)))
damaged('two entries swapped with their hashes', 261, async (at) => {
  await changeBundle(at(bundle1), (entries) => swap(entries, 5, 9))
  await changeHashes(at('log/tile/0/001'), (hashes) => swap(hashes, 5, 9))
})
damaged('a bundle in the place of another', 256, (at) => cp(at('log/tile/entries/000'), at(bundle1)))
damaged('a flipped hash of a leaf', 266, (at) => changeHashes(at('log/tile/0/001'), (hashes) => flip(hashes[10], 0)))
damaged('a missing tile', 256, (at) => rm(at('log/tile/0/001')))
damaged('a flipped hash of a tile', 256, (at) => changeHashes(at('log/tile/1/000.p/2'), (hashes) => flip(hashes[1], 5)))
damaged('a missing upper tile', 0, (at) => rm(at('log/tile/1/000.p/2')))
damaged('a flipped byte in the checkpoint', 0, async (at) => {
  const note = await readFile(at('log/checkpoint'), 'utf8')
  await writeFile(at('log/checkpoint'), note.replace('\n700\n', '\n701\n'))
})
damaged('a checkpoint signed by another key', 0, async (at) => {
  const root = new TiledTree().root()
  const note = signCheckpoint({ origin, size: 0, root }, generateKeyPairSync('ed25519').privateKey)
  await writeFile(at('log/checkpoint'), note)
})
damaged('no checkpoint', 0, (at) => rm(at('log/checkpoint')))
damaged('everything written anew but the checkpoint', 0, async (at) => {
  const tree = new TiledTree()
  for (let index = 0; index < covered; index++) {
    const place = { sequence: index, time: 0, node: 'n' }
    tree.append(encodeEntry(place, published(index, { topic: index === 400 ? 'forged' : 'true' })))
  }
  for (const { path, bytes } of [...tree.takeComplete(), ...tree.partials()]) await writeFile(at(`log/${path}`), bytes)
})
damaged('a flipped byte above the checkpoint', 700, (at) => changeFile(at(walSegment), (bytes) => flip(bytes, 40)))
damaged('a missing segment beneath another', 700, async (at) => {
  await cp(at(walSegment), at('wal/0000000000000720.seg'))
  await rm(at(walSegment))
})

test('a verifier key that is none is refused with AUDIT_INVALID', async () => {
  for (const text of ['', origin, `${origin}+00000000+AAAA`, verifierKey.replace('+', '+0')]) {
    await assert.rejects(verifyLog(intact(), text), { code: 'AUDIT_INVALID' })
  }
})

test('an incomplete last record is cut when the log is opened, and a record says so', async () => {
  const directory = await copy('torn')
  await cut(join(directory, walSegment), 5)
  assert.equal((await verifyLog(directory, verifierKey)).uncovered, uncovered - 1)
  const log = await open(directory)
  assert.equal(log.size, covered + uncovered) // one was cut, and one says so
  await log.close()
  for await (const record of log.records(covered + uncovered - 1)) assert.equal(record.event, 'log.recovery')
  assert.ok((await verifyLog(directory, verifierKey)).ok)
})

test('zeros that a file system left behind are cut as well', async () => {
  const directory = await copy('zeros')
  await writeFile(join(directory, walSegment), Buffer.alloc(5000), { flag: 'a' })
  const log = await open(directory)
  assert.equal(log.size, covered + uncovered + 1)
  await log.close()
})

refused('a flipped byte above the checkpoint', (at) => changeFile(at(walSegment), (bytes) => flip(bytes, 40)))
refused('a flipped byte in the last record', (at) =>
  changeFile(at(walSegment), (bytes) => flip(bytes, bytes.length - 1)),
)
refused('a damaged length that reaches over the end', (at) =>
  changeFile(at(walSegment), (bytes) => flip(bytes, 2, 0x7f)),
)
refused('a missing write-ahead log', async (at) => {
  await rm(at(olderSegment))
  await rm(at(walSegment))
})
refused('a missing older segment', (at) => rm(at(olderSegment)))
refused('a write-ahead log of later records', (at) => cp(at(walSegment), at('wal/0000000000000800.seg')))
refused('a checkpoint that was cut', (at) => cut(at('log/checkpoint'), 10))
refused('a missing tile below the write-ahead log', (at) => rm(at('log/tile/0/001')))
refused('a damaged tile below the write-ahead log', (at) =>
  changeFile(at('log/tile/0/001'), (bytes) => flip(bytes, 30)),
)
refused('a checkpoint of more than there is', async (at) => {
  const note = signCheckpoint({ origin, size: 701, root: new TiledTree().root() }, signingKey)
  await writeFile(at('log/checkpoint'), note)
})

type Damage = (at: (path: string) => string) => Promise<void>

function damaged(name: string, index: number, damage: Damage): void {
  test(`verify names record ${index} for ${name}`, async () => {
    const directory = await copy(name)
    await damage((path) => join(directory, path))
    const report = await verifyLog(directory, verifierKey)
    assert.equal(report.ok, false)
    assert.equal(report.firstBad?.index, index, report.firstBad?.what)
  })
}

function refused(name: string, damage: Damage): void {
  test(`the log refuses to start with ${name}`, async () => {
    const directory = await copy(`start ${name}`)
    await damage((path) => join(directory, path))
    await assert.rejects(open(directory), { code: 'AUDIT_CORRUPT' })
  })
}

function open(directory: string): Promise<AuditLog> {
  return AuditLog.open({ directory, origin, node: 'node-1', signingKey, now: () => 0 })
}

function intact(): string {
  return join(folder, 'intact')
}

async function copy(name: string): Promise<string> {
  const directory = join(folder, name)
  await cp(intact(), directory, { recursive: true })
  return directory
}

function append(writer: LogWriter, from: number, to: number): void {
  const records = new EntryBuffer()
  for (let index = from; index < to; index++) {
    records.add({ sequence: index, time: 0, node: 'node-1' }, published(index))
  }
  const batch = Buffer.from(records.take().records)
  writer.write(batch)
  while (writer.grow());
}

async function changeFile(path: string, change: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(path)
  change(bytes)
  await writeFile(path, bytes)
}

async function changeBundle(path: string, change: (entries: Uint8Array[]) => void): Promise<void> {
  const entries = [...decodeBundle(await readFile(path), 256, path)]
  change(entries)
  await writeFile(path, encodeBundle(entries))
}

async function changeHashes(path: string, change: (hashes: Uint8Array[]) => void): Promise<void> {
  const bytes = await readFile(path)
  const hashes = Array.from({ length: bytes.length / 32 }, (_, at) => bytes.subarray(32 * at, 32 * at + 32))
  change(hashes)
  await writeFile(path, Buffer.concat(hashes))
}

function flip(bytes: Uint8Array | undefined, at: number, mask = 1): void {
  assert.ok(bytes)
  bytes[at] = (bytes[at] ?? 0) ^ mask
}

function swap<T>(items: T[], one: number, other: number): void {
  const [first, second] = [items[one], items[other]]
  assert.ok(first !== undefined && second !== undefined)
  items[one] = second
  items[other] = first
}

async function cut(path: string, bytes: number): Promise<void> {
  await truncate(path, (await readFile(path)).length - bytes)
}
