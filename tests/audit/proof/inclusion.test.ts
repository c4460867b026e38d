import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIncluded, proveInclusion } from '../../../audit/proof/inclusion.js'
import { TileNodes } from '../../../audit/proof/nodes.js'
import { parseCheckpoint } from '../../../audit/tree/checkpoint.js'
import { hashLeaf } from '../../../audit/tree/merkle.js'
import { LogReader } from '../../../audit/reading/reader.js'
import { createWriter } from '../world.js'
import { treeOf, vectorLeaves } from './tree.js'

/** Inclusion proofs of the certificate transparency vectors, over the first so many of their leaves. */
const vectors = [
  { index: 0, size: 1, proof: [] },
  {
    index: 0,
    size: 8,
    proof: [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  },
  {
    index: 5,
    size: 8,
    proof: [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  },
  { index: 2, size: 3, proof: ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'] },
  {
    index: 1,
    size: 5,
    proof: [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  },
]

test('makes the proofs of the certificate transparency vectors', async () => {
  const tree = treeOf(vectorLeaves)
  for (const { index, size, proof } of vectors) {
    const made = await proveInclusion(index, size, tree.read)
    assert.deepEqual(
      made.map((hash) => Buffer.from(hash, 'latin1').toString('hex')),
      proof,
    )
  }
})

test('every leaf is shown to be in its place of every tree, and nothing else is', async () => {
  const leaves = Array.from({ length: 70 }, (_, at) => Buffer.from(String(at)))
  const tree = treeOf(leaves)
  for (let size = 1; size <= 70; size++) {
    const head = tree.head(size)
    for (const [index, leaf] of leaves.slice(0, size).map(hashLeaf).entries()) {
      const proof = await proveInclusion(index, size, tree.read)
      const name = `${index} of ${size}`
      assert.ok(isIncluded(leaf, index, head, proof), name)
      assert.ok(!isIncluded(hashLeaf(Buffer.from('other')), index, head, proof), name)
      assert.ok(!isIncluded(leaf, index, { ...head, root: Buffer.alloc(32) }, proof), name)
      assert.ok(!isIncluded(leaf, index, head, [...proof, 'x'.repeat(32)]), name)
      if (size > 1) assert.ok(!isIncluded(leaf, (index + 1) % size, head, proof), name)
      if (proof.length > 0) assert.ok(!isIncluded(leaf, index, head, proof.slice(1)), name)
      if (proof.length > 1) assert.ok(!isIncluded(leaf, index, head, proof.toReversed()), name)
    }
  }
})

test('no place outside the tree is shown to hold anything', async () => {
  const tree = treeOf([Buffer.from('only')])
  assert.ok(!isIncluded(hashLeaf(Buffer.from('only')), 1, tree.head(1), []))
  assert.ok(!isIncluded(hashLeaf(Buffer.from('only')), 0, tree.head(0), []))
  assert.ok(!isIncluded('x'.repeat(32), 2 ** 32, { size: 2 ** 32 + 1, root: Buffer.alloc(32) }, []))
  await assert.rejects(proveInclusion(1, 1, tree.read), RangeError)
})

test('reads what it needs from the tiles of a log, also while that grows', async (t) => {
  const { directory, writer, append } = await createWriter(t)
  const nodes = new TileNodes(directory)
  const reader = new LogReader(directory)
  for (const count of [1, 2, 253, 4, 300, 66_000]) {
    append(count)
    const head = parseCheckpoint(await writer.checkpoint())
    for (const index of [0, 1, 255, 256, 511, 560, 65_535, 65_536, head.size - 1]) {
      if (index >= head.size) continue
      const leaf = hashLeaf(await reader.entry(index))
      assert.ok(isIncluded(leaf, index, head, await proveInclusion(index, head.size, nodes.read)), `${index}`)
    }
  }
})
