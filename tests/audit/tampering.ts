import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { encodeEntry } from '../../audit/entries/write-entry.js'
import { EntryBuffer } from '../../audit/entries/entry-buffer.js'
import { parseCheckpoint, signCheckpoint } from '../../audit/tree/checkpoint.js'
import { TiledTree } from '../../audit/tree/tiled-tree.js'
import { decodeBundle, encodeBundle } from '../../audit/tree/tiles.js'
import { createDisk } from '../../audit/writing/disk.js'
import { LogWriter } from '../../audit/writing/writer.js'
import { origin, published } from './world.js'

/** 700 records below a checkpoint, and 20 above it in the write-ahead log, which holds the last whole bundles from 512 on. */
export const sample = { older: 300, covered: 700, uncovered: 20 } as const
export const olderSegment = 'wal/0000000000000300.seg'
export const walSegment = 'wal/0000000000000700.seg'
const bundle1 = 'log/tile/entries/001'
const lastBundle = 'log/tile/entries/002.p/188'
const tile1 = 'log/tile/0/001'
const lastTile = 'log/tile/0/002.p/188'
const upperTile = 'log/tile/1/000.p/2'

/** Gives the checkpoint of the first 300 records. */
export async function writeSample(directory: string, signingKey: KeyObject): Promise<string> {
  const checkpoints: string[] = []
  let size = 0
  for (const end of [sample.older, sample.covered, sample.covered + sample.uncovered]) {
    const { writer } = await LogWriter.open({ directory, origin, signingKey }, createDisk())
    append(writer, size, end)
    if (end <= sample.covered) checkpoints.push(await writer.checkpoint())
    await writer.close()
    size = end
  }
  return checkpoints[0] ?? ''
}

function append(writer: LogWriter, from: number, to: number): void {
  const records = new EntryBuffer()
  for (let index = from; index < to; index++) {
    records.add({ sequence: index, time: 0 }, published(index))
  }
  writer.write(Buffer.from(records.take().records))
  while (writer.grow());
}

/** What somebody can do to a log's folder; `at` gives the path of a file of it. */
export type Damage = (at: (path: string) => string) => Promise<void>

export interface Tampering {
  readonly name: string
  /** The first record that is not what was signed; 0 where nothing can be trusted any more. */
  readonly firstBad: number
  readonly damage: Damage
  /** Only in what no checkpoint covers yet, and a third party does not get. */
  readonly onlyWal?: true
}

/** Each of these a verifier must refuse, whoever wrote it. */
export const tamperings: readonly Tampering[] = [
  entries('a flipped byte in an entry', 300, ({ entries }) => flip(entries[44], 30)),
  entries('a flipped byte in the first entry', 256, ({ entries }) => flip(entries[0], 3)),
  entries('a deleted byte in an entry', 270, ({ entries }) => entries.splice(14, 1, cutEntry(entries[14]))),
  entries('a deleted record', 306, ({ entries }) => entries.splice(50, 1)),
  entries('a deleted record with its hash', 306, ({ entries, hashes }) => [
    entries.splice(50, 1),
    hashes.splice(50, 1),
  ]),
  entries('a doubled record', 307, ({ entries }) => entries.splice(51, 0, Buffer.from(entries[50] ?? []))),
  entries('two entries swapped', 261, ({ entries }) => swap(entries, 5, 9)),
  entries('two entries swapped with their hashes', 261, ({ entries, hashes }) => {
    swap(entries, 5, 9)
    swap(hashes, 5, 9)
  }),
  entries('a flipped hash of a leaf', 266, ({ hashes }) => flip(hashes[10], 0)),
  entries('two hashes swapped', 258, ({ hashes }) => swap(hashes, 2, 200)),
  files('a missing bundle', 256, (at) => rm(at(bundle1))),
  files('an empty bundle', 256, (at) => truncate(at(bundle1))),
  files('a folder in the place of a bundle', 256, async (at) => {
    await rm(at(bundle1))
    await mkdir(at(bundle1))
  }),
  files('a bundle cut by one byte', 511, (at) => cut(at(bundle1), 1)),
  files('a partial bundle cut by one byte', 699, (at) => cut(at(lastBundle), 1)),
  files('bytes after the last entry', 700, (at) => writeFile(at(lastBundle), Buffer.of(0, 0), { flag: 'a' })),
  files('a bundle in the place of another', 256, (at) => cp(at('log/tile/entries/000'), at(bundle1))),
  files('two bundles swapped', 0, (at) => swapFiles(at('log/tile/entries/000'), at(bundle1))),
  files('two bundles swapped with their tiles', 0, async (at) => {
    await swapFiles(at('log/tile/entries/000'), at(bundle1))
    await swapFiles(at('log/tile/0/000'), at(tile1))
  }),
  files('a missing tile', 256, (at) => rm(at(tile1))),
  files('a tile cut by one byte', 511, (at) => cut(at(tile1), 1)),
  files('a tile with a hash too many', 700, (at) => writeFile(at(lastTile), Buffer.alloc(32), { flag: 'a' })),
  files('two tiles swapped', 0, (at) => swapFiles(at('log/tile/0/000'), at(tile1))),
  files('a flipped hash of a tile', 256, (at) => changeFile(at(upperTile), (bytes) => flip(bytes, 37))),
  files('two hashes of tiles swapped', 0, (at) => changeFile(at(upperTile), (bytes) => bytes.swap64())),
  files('a missing upper tile', 0, (at) => rm(at(upperTile))),
  files('an upper tile cut by one byte', 256, (at) => cut(at(upperTile), 1)),
  files('a larger size in the checkpoint', 0, (at) => changeNote(at, (note) => note.replace('\n700\n', '\n701\n'))),
  files('a smaller size in the checkpoint', 0, (at) => changeNote(at, (note) => note.replace('\n700\n', '\n512\n'))),
  files('a flipped byte in the signature', 0, (at) => changeFile(at('log/checkpoint'), (bytes) => flip(bytes, 110))),
  files('a deleted byte in the checkpoint', 0, (at) => changeNote(at, (note) => note.slice(0, 60) + note.slice(61))),
  files('a checkpoint that was cut', 0, (at) => cut(at('log/checkpoint'), 5)),
  files('an empty checkpoint', 0, (at) => truncate(at('log/checkpoint'))),
  files('no checkpoint', 0, (at) => rm(at('log/checkpoint'))),
  files('a folder in the place of the checkpoint', 0, (at) => folderFor(at('log/checkpoint'))),
  files('a folder in the place of the minimum index', 0, (at) => folderFor(at('log/minimum'))),
  files('a checkpoint signed by another key', 0, (at) =>
    changeNote(at, (note) => signCheckpoint(parseCheckpoint(note), generateKeyPairSync('ed25519').privateKey)),
  ),
  files('everything written anew but the checkpoint', 0, async (at) => {
    const tree = new TiledTree()
    for (let index = 0; index < sample.covered; index++) {
      const place = { sequence: index, time: 0 }
      tree.append(encodeEntry(place, published(index, { topic: index === 400 ? 'forged' : 'true' })))
    }
    for (const { path, bytes } of [...tree.takeComplete(), ...tree.partials()])
      await writeFile(at(`log/${path}`), bytes)
  }),
  wal('a flipped byte above the checkpoint', 700, (at) => changeFile(at(walSegment), (bytes) => flip(bytes, 40))),
  wal('a missing segment beneath another', 700, async (at) => {
    await cp(at(walSegment), at('wal/0000000000000720.seg'))
    await rm(at(walSegment))
  }),
]

function files(name: string, firstBad: number, damage: Damage): Tampering {
  return { name, firstBad, damage }
}

function wal(name: string, firstBad: number, damage: Damage): Tampering {
  return { name, firstBad, damage, onlyWal: true }
}

/** Of the second bundle, and of its hashes. */
function entries(
  name: string,
  firstBad: number,
  change: (of: { entries: Uint8Array[]; hashes: Uint8Array[] }) => unknown,
): Tampering {
  return files(name, firstBad, async (at) => {
    const tile = await readFile(at(tile1))
    const hashes = Array.from({ length: tile.length / 32 }, (_, index) => tile.subarray(32 * index, 32 * index + 32))
    const entries = [...decodeBundle(await readFile(at(bundle1)), 256, bundle1)]
    change({ entries, hashes })
    await writeFile(at(bundle1), encodeBundle(entries))
    await writeFile(at(tile1), Buffer.concat(hashes))
  })
}

export async function changeFile(path: string, change: (bytes: Buffer) => unknown): Promise<void> {
  const bytes = await readFile(path)
  change(bytes)
  await writeFile(path, bytes)
}

async function changeNote(at: (path: string) => string, change: (note: string) => string): Promise<void> {
  await writeFile(at('log/checkpoint'), change(await readFile(at('log/checkpoint'), 'utf8')))
}

async function folderFor(path: string): Promise<void> {
  await rm(path, { force: true })
  await mkdir(path)
}

async function swapFiles(one: string, other: string): Promise<void> {
  const bytes = await readFile(one)
  await cp(other, one)
  await writeFile(other, bytes)
}

export function flip(bytes: Uint8Array | undefined, at: number, mask = 1): void {
  assert.ok(bytes)
  bytes[at] = (bytes[at] ?? 0) ^ mask
}

function cutEntry(entry: Uint8Array = Buffer.alloc(0)): Uint8Array {
  return Buffer.concat([entry.subarray(0, 20), entry.subarray(21)])
}

function swap<T>(items: T[], one: number, other: number): void {
  const [first, second] = [items[one], items[other]]
  assert.ok(first !== undefined && second !== undefined)
  items[one] = second
  items[other] = first
}

export async function cut(path: string, bytes: number): Promise<void> {
  await truncate(path, (await readFile(path)).length - bytes)
}
