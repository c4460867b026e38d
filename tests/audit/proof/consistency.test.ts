import assert from 'node:assert/strict'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isConsistent, proveConsistency } from '../../../audit/proof/consistency.js'
import { rootOfRange, TileNodes } from '../../../audit/proof/nodes.js'
import { parseCheckpoint, type TreeHead } from '../../../audit/tree/checkpoint.js'
import { createWriter } from '../world.js'
import { treeOf, vectorLeaves } from './tree.js'

/** Consistency proofs of certificate-transparency's merkle tree tests. */
const vectors = [
  {
    older: 1,
    newer: 8,
    proof: [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  },
  {
    older: 6,
    newer: 8,
    proof: [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  },
  {
    older: 2,
    newer: 5,
    proof: [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  },
]

test('makes the proofs of the certificate transparency vectors', async () => {
  const tree = treeOf(vectorLeaves)
  for (const { older, newer, proof } of vectors) {
    const made = await proveConsistency(older, newer, tree.read)
    assert.deepEqual(
      made.map((hash) => Buffer.from(hash, 'latin1').toString('hex')),
      proof,
    )
  }
})

test('every older tree is shown to be the beginning of every newer one, and no changed proof or root passes', async () => {
  const tree = treeOf(Array.from({ length: 70 }, (_, at) => Buffer.from(String(at))))
  for (let newer = 0; newer <= 70; newer++) {
    for (let older = 0; older <= newer; older++) {
      const [before, after] = [tree.head(older), tree.head(newer)]
      const proof = await proveConsistency(older, newer, tree.read)
      assert.ok(isConsistent(before, after, proof), `${older} → ${newer}`)
      const forged = { ...after, root: Buffer.alloc(32, 1) }
      if (older > 0) assert.ok(!isConsistent(before, forged, proof), `${older} → forged ${newer}`)
      if (older > 0)
        assert.ok(!isConsistent({ ...before, root: forged.root }, after, proof), `forged ${older} → ${newer}`)
      assert.ok(!isConsistent(before, after, [...proof, 'x'.repeat(32)]), `${older} → ${newer}, one too many`)
      if (proof.length > 0) assert.ok(!isConsistent(before, after, proof.slice(1)), `${older} → ${newer}, one too few`)
    }
  }
})

test('a smaller tree never follows a larger one', async () => {
  const tree = treeOf(Array.from({ length: 9 }, (_, at) => Buffer.from(String(at))))
  assert.ok(!isConsistent(tree.head(9), tree.head(8), []))
  await assert.rejects(proveConsistency(9, 8, tree.read), RangeError)
})

test('sizes beyond 32 bits are told apart', () => {
  const root = Buffer.alloc(32)
  assert.ok(!isConsistent({ size: 1, root }, { size: 2 ** 32 + 1, root }, []))
  assert.ok(!isConsistent({ size: 2 ** 40, root }, { size: 2 ** 52 + 1, root }, ['x'.repeat(32)]))
})

test('reads what it needs from the tiles of a log, also while that grows', async (t) => {
  const { directory, writer, append } = await createWriter(t)
  const nodes = new TileNodes(directory)
  const heads: TreeHead[] = []
  for (const count of [3, 250, 4, 300, 66_000]) {
    append(count)
    const newer = parseCheckpoint(await writer.checkpoint())
    heads.push(newer)
    for (const older of heads) {
      const proof = await proveConsistency(older.size, newer.size, nodes.read)
      assert.ok(isConsistent(older, newer, proof), `${older.size} → ${newer.size}`)
      assert.deepEqual(await rootOfRange(0, older.size, nodes.read), Buffer.from(older.root).toString('latin1'))
    }
  }
})

test('a tile that is cut is named', async (t) => {
  const { directory, writer, append } = await createWriter(t)
  append(300)
  await writer.checkpoint()
  await truncate(join(directory, 'log/tile/0/000'), 100)
  await assert.rejects(new TileNodes(directory).read(0, 3), { code: 'AUDIT_CORRUPT' })
})
