import assert from 'node:assert/strict'
import test from 'node:test'
import { LazyMap } from '../../broker/lazy-map.js'

test('a map that nothing was put into answers like any other', () => {
  const map = new LazyMap<string, number>()
  assert.deepEqual([map.size, map.get('one'), map.has('one'), map.delete('one')], [0, undefined, false, false])
  assert.deepEqual([[...map.keys()], [...map.values()], [...map]], [[], [], []])
})

test('entries keep the order in which they came, and can be taken out on the way', () => {
  const map = new LazyMap<string, number>()
  for (const [at, name] of ['one', 'two', 'three'].entries()) map.set(name, at)
  map.set('one', 7)
  for (const [name] of map) if (name === 'two') map.delete(name)
  assert.deepEqual(
    [map.size, [...map], [...map.keys()], [...map.values()]],
    [
      2,
      [
        ['one', 7],
        ['three', 2],
      ],
      ['one', 'three'],
      [7, 2],
    ],
  )
  map.clear()
  map.set('four', 4)
  assert.deepEqual([...map], [['four', 4]])
})
