import assert from 'node:assert/strict'
import test from 'node:test'
import { ReadAhead, type ReadAheadBounds } from '../../../cli/replay/read-ahead.js'

const wide: ReadAheadBounds = { items: 100, bytes: 1000, atOnce: 3 }

/** Counts how many were asked for. */
function numbers(count: number) {
  const source = {
    asked: 0,
    closed: false,
    async *[Symbol.asyncIterator]() {
      try {
        for (; source.asked < count; source.asked++) yield source.asked
      } finally {
        source.closed = true
      }
    },
  }
  return source
}

const turn = () => new Promise(setImmediate)

test('several are prepared at a time, and given in order', async () => {
  const ending: (() => void)[] = []
  const prepare = (item: number) => new Promise<number>((resolve) => ending.push(() => resolve(item * 10)))
  const ahead = new ReadAhead(numbers(7), prepare, () => 1, wide)
  await turn()
  assert.equal(ending.length, 3)
  const all = collect(ahead)
  while (ending.length > 0) {
    ending.pop()?.()
    await turn()
  }
  assert.deepEqual(await all, [0, 10, 20, 30, 40, 50, 60])
})

test('no more is held than the bounds allow, by number or by bytes', async () => {
  for (const bounds of [
    { ...wide, items: 5 },
    { ...wide, bytes: 50 },
  ]) {
    const source = numbers(1000)
    const ahead = new ReadAhead(
      source,
      async (item) => item,
      () => 10,
      bounds,
    )
    assert.equal((await ahead.filled()).length, 5)
    await turn()
    assert.equal(source.asked, 5)
    ahead.close()
    await turn()
    assert.ok(source.closed, 'reads no further')
  }
})

test('what is wrong with the first of it is known before any is taken; what comes later stands at its place', async () => {
  const prepare = async (item: number) => {
    if (item === 3) throw new RangeError('three')
    return item
  }
  const early = new ReadAhead(numbers(10), prepare, () => 1, wide)
  await assert.rejects(early.filled(), RangeError)
  early.close()

  const late = new ReadAhead(numbers(10), prepare, () => 1, { ...wide, items: 2 })
  assert.deepEqual(await late.filled(), [0, 1])
  const taken: number[] = []
  await assert.rejects(async () => {
    for await (const item of late) taken.push(item)
  }, RangeError)
  assert.deepEqual(taken, [0, 1, 2])
})

test('a source that fails is not taken for one that has ended', async () => {
  async function* failing() {
    yield 1
    throw new RangeError('gone')
  }
  await assert.rejects(
    collect(
      new ReadAhead(
        failing(),
        async (item) => item,
        () => 1,
        wide,
      ),
    ),
    RangeError,
  )
})

async function collect<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}
