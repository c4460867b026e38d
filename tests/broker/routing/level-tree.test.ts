import assert from 'node:assert/strict'
import test from 'node:test'
import { LevelTree } from '../../../broker/routing/level-tree.js'
import { seeded } from '../../seeded.js'
import { randomName } from './topics.js'

test('keeps a value per path, and nothing of those that were taken out', () => {
  const random = seeded(5)
  const tree = new LevelTree<number>()
  const values = new Map<string, number>()
  const paths = Array.from({ length: 2000 }, () => randomName(random))
  for (const [at, path] of paths.entries()) {
    if (random(3) === 0) {
      tree.delete(path)
      values.delete(path)
    } else {
      tree.set(path, at)
      values.set(path, at)
    }
    const other = randomName(random)
    assert.equal(tree.get(other), values.get(other))
  }
  for (const path of paths) tree.delete(path)
  assert.ok(tree.isEmpty)
})
