import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Frontier, type Hash, hashLeaf, hashNode } from '../../audit/tree/merkle.js'
import { TiledTree } from '../../audit/tree/tiled-tree.js'
import { bundlePath, decodeBundle, encodeBundle, hashesOf, tilePath } from '../../audit/tree/tiles.js'

/** The leaves and roots of certificate-transparency's merkle tree tests, used by every implementation of RFC 6962. */
const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

test('has the roots of the certificate transparency vectors', () => {
  const frontier = new Frontier()
  assert.equal(Buffer.from(frontier.root(), 'latin1').toString('hex'), roots[0])
  leaves.forEach((leaf, at) => {
    frontier.append(hashLeaf(Buffer.from(leaf, 'hex')))
    assert.equal(Buffer.from(frontier.root(), 'latin1').toString('hex'), roots[at + 1])
  })
})

test('grows to the root that the definition of RFC 6962 gives, at every size', () => {
  const frontier = new Frontier()
  const hashes: Hash[] = []
  for (let size = 1; size <= 130; size++) {
    const leaf = hashLeaf(Buffer.from(String(size)))
    frontier.append(leaf)
    hashes.push(leaf)
    assert.deepEqual(frontier.root(), rootByDefinition(hashes), `size ${size}`)
  }
})

test('goes on from its partial tiles as if it had never stopped', () => {
  const whole = new TiledTree()
  for (let index = 0; index < 66_000; index++) whole.append(Buffer.from(String(index)))
  const state = (size: number) => {
    const tree = new TiledTree()
    for (let index = 0; index < size; index++) tree.append(Buffer.from(String(index)))
    const files = tree.partials()
    const tiles = [0, 1, 2].map((level) => {
      const tile = files.find(({ path }) => path.startsWith(`tile/${level}/`))
      return tile ? hashesOf(tile.bytes) : []
    })
    const bundle = files.find(({ path }) => path.startsWith('tile/entries/'))
    return { size, tiles, entries: bundle ? decodeBundle(bundle.bytes, size % 256, bundle.path) : [] }
  }
  for (const size of [0, 1, 255, 256, 257, 65_535, 65_536, 65_537]) {
    const tree = new TiledTree(state(size))
    for (let index = size; index < 66_000; index++) tree.append(Buffer.from(String(index)))
    assert.deepEqual(tree.root(), whole.root(), `from ${size}`)
    assert.deepEqual(tree.partials(), whole.partials(), `from ${size}`)
  }
})

test('hands out each complete file once, and a partial one with its width', () => {
  const tree = new TiledTree()
  for (let index = 0; index < 600; index++) tree.append(Buffer.of(1, 2))
  const paths = tree.takeComplete().map(({ path }) => path)
  assert.deepEqual(paths, ['tile/0/000', 'tile/entries/000', 'tile/0/001', 'tile/entries/001'])
  assert.deepEqual(tree.takeComplete(), [])
  assert.deepEqual(
    tree.partials().map(({ path, bytes }) => [path, bytes.length]),
    [
      ['tile/0/002.p/88', 88 * 32],
      ['tile/1/000.p/2', 2 * 32],
      ['tile/entries/002.p/88', 88 * 4],
    ],
  )
})

test('names tiles as C2SP tlog-tiles does', () => {
  assert.equal(tilePath(0, 1234067), 'tile/0/x001/x234/067')
  assert.equal(tilePath(3, 0, 5), 'tile/3/000.p/5')
  assert.equal(bundlePath(999), 'tile/entries/999')
  assert.equal(bundlePath(1000, 255), 'tile/entries/x001/000.p/255')
})

test('a bundle holds its entries behind their lengths, and nothing else', () => {
  const entries = [Buffer.of(), Buffer.of(1), Buffer.alloc(65_535, 7)]
  const bundle = encodeBundle(entries)
  assert.equal(bundle.toString('hex', 0, 7), '0000000101ffff')
  assert.deepEqual(decodeBundle(bundle, 3, 'test'), entries)
  for (const bad of [bundle.subarray(0, -1), Buffer.concat([bundle, Buffer.of(0)])]) {
    assert.throws(() => decodeBundle(bad, 3, 'test'), { code: 'AUDIT_CORRUPT' })
  }
  assert.throws(() => decodeBundle(bundle, 2, 'test'), { code: 'AUDIT_CORRUPT' })
})

/** RFC 6962 §2.1, word for word. */
function rootByDefinition(hashes: readonly Hash[]): Hash {
  const [only] = hashes
  if (only !== undefined && hashes.length === 1) return only
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  return hashNode(rootByDefinition(hashes.slice(0, split)), rootByDefinition(hashes.slice(split)))
}
