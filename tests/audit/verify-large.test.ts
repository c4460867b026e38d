import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { verifyLog, type VerifyReport } from '#audit'
import { encodeEntry } from '../../audit/entries/write-entry.js'
import { signCheckpoint, verifierKeyOf } from '../../audit/tree/checkpoint.js'
import { TiledTree } from '../../audit/tree/tiled-tree.js'
import { bundlePath, tilePath } from '../../audit/tree/tiles.js'
import { changeFile, flip } from './tampering.js'
import { origin, published } from './world.js'

/** More than one tile of level 1, so that several threads have something to do. */
const size = 90_000
const { privateKey: signingKey } = generateKeyPairSync('ed25519')
const verifierKey = verifierKeyOf(origin, signingKey)
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'touchmark-verify-large-'))
  await writeLog('intact', size, (index) => entryOf(index))
})
after(() => rm(folder, { recursive: true, force: true }))

test('several threads find what one finds', async () => {
  const reports: VerifyReport[] = []
  for (const threads of [1, 2, 5]) {
    const progress: number[] = []
    const onProgress = (checked: number) => void progress.push(checked)
    reports.push(await verifyLog(inFolder('intact'), verifierKey, { threads, onProgress }))
    assert.deepEqual(
      progress,
      progress.toSorted((one, other) => one - other),
    )
    assert.equal(progress.at(-1), size)
  }
  for (const report of reports) assert.deepEqual(report, reports[0])
  assert.ok(reports[0]?.ok)
})

test('of several damages the first is named, whichever thread comes upon it', async () => {
  await cp(inFolder('intact'), inFolder('damaged'), { recursive: true })
  for (const bundle of [340, 290, 41]) {
    await changeFile(inFolder('damaged', 'log', bundlePath(bundle)), (bytes) => flip(bytes, 50))
    for (const threads of [1, 3]) {
      const { firstBad } = await verifyLog(inFolder('damaged'), verifierKey, { threads })
      assert.equal(firstBad?.index, bundle * 256, firstBad?.what)
    }
  }
  await changeFile(inFolder('damaged', 'log', tilePath(1, 0)), (bytes) => flip(bytes, 7 * 32))
  const { firstBad } = await verifyLog(inFolder('damaged'), verifierKey, { threads: 3 })
  assert.deepEqual(
    [firstBad?.index, firstBad?.what],
    [7 * 256, 'tile/1/000 does not hold the hashes of the tiles below it'],
  )
})

test('it can be ended in the middle', async () => {
  for (const threads of [1, 3]) {
    const stop = new AbortController()
    const onProgress = () => stop.abort(new Error('enough'))
    const verifying = verifyLog(inFolder('intact'), verifierKey, { threads, onProgress, signal: stop.signal })
    await assert.rejects(verifying, /enough/)
  }
})

test('a signed entry that is not the one form of a record in its place is bad all the same', async () => {
  const long = Buffer.from(entryOf(300))
  const wrong: Readonly<Record<string, Uint8Array>> = {
    'another place': entryOf(301),
    'a longer form': Buffer.concat([Buffer.of(0x98, (long[0] ?? 0) & 31), long.subarray(1)]),
    'bytes behind it': Buffer.concat([long, Buffer.of(0)]),
    'no record': Buffer.from('hello'),
    nothing: Buffer.alloc(0),
  }
  for (const [name, entry] of Object.entries(wrong)) {
    await writeLog(name, 600, (index) => (index === 300 ? entry : entryOf(index)))
    const { ok, firstBad } = await verifyLog(inFolder(name), verifierKey)
    assert.deepEqual([ok, firstBad?.index], [false, 300], `${name}: ${firstBad?.what}`)
  }
})

function inFolder(...names: readonly string[]): string {
  return join(folder, ...names)
}

function entryOf(sequence: number): Uint8Array {
  return encodeEntry({ sequence, time: 0 }, published(sequence))
}

/** What a checkpoint covers, and nothing above it. */
async function writeLog(name: string, size: number, entryAt: (index: number) => Uint8Array): Promise<void> {
  const tree = new TiledTree()
  for (let index = 0; index < size; index++) tree.append(entryAt(index))
  const note = signCheckpoint({ origin, size, root: tree.root() }, signingKey)
  const files = [...tree.takeComplete(), ...tree.partials(), { path: 'checkpoint', bytes: Buffer.from(note) }]
  for (const { path, bytes } of files) {
    const file = inFolder(name, 'log', path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
}
