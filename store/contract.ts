import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from './store.js'

/** What every store promises, as tests. `open` gives an empty one; the suite closes it. */
export function testStoreContract(name: string, open: () => Promise<Store>): void {
  const promise = (behaviour: string, check: (store: Store) => Promise<void>): void => {
    void test(`${name}: ${behaviour}`, async () => {
      const store = await open()
      try {
        await check(store)
      } finally {
        await store.close()
      }
    })
  }

  promise('gives back what was committed, and nothing where nothing is', async (store) => {
    await store.commit({ puts: [['a/1', bytes('one')]] })
    assert.deepEqual(textOf(await store.get('a/1')), 'one')
    assert.equal(await store.get('a/2'), undefined)
  })

  promise('a delete removes, and a put in the same commit wins over it', async (store) => {
    await store.commit({
      puts: [
        ['a', bytes('1')],
        ['b', bytes('1')],
      ],
    })
    await store.commit({ deletes: ['a', 'b', 'never there'], puts: [['b', bytes('2')]] })
    assert.equal(await store.get('a'), undefined)
    assert.equal(textOf(await store.get('b')), '2')
  })

  promise('empty values and empty commits are fine', async (store) => {
    await store.commit({})
    await store.commit({ puts: [['a', new Uint8Array()]] })
    assert.equal((await store.get('a'))?.length, 0)
  })

  promise('lists the entries of a prefix, in the order of their UTF-8 bytes', async (store) => {
    const keys = ['a/', 'a/\u{10000}', 'a/\uffff', 'a/é', 'a/z', 'a0', 'A/x', 'b/1']
    await store.commit({ puts: keys.map((key) => [key, bytes(key)]) })
    assert.deepEqual(await keysOf(store, 'a/'), ['a/', 'a/z', 'a/é', 'a/\uffff', 'a/\u{10000}'])
    assert.deepEqual(await keysOf(store, 'c'), [])
    assert.equal((await keysOf(store, '')).length, keys.length)
  })

  promise('an iteration sees the entries as they were when it began', async (store) => {
    await store.commit({
      puts: [
        ['a/1', bytes('old')],
        ['a/2', bytes('old')],
      ],
    })
    const seen: string[] = []
    for await (const [key, value] of store.entries('a/')) {
      if (seen.length === 0)
        await store.commit({
          puts: [
            ['a/2', bytes('new')],
            ['a/3', bytes('new')],
          ],
        })
      seen.push(`${key}=${textOf(value)}`)
    }
    assert.deepEqual(seen, ['a/1=old', 'a/2=old'])
  })

  promise('a condition that does not hold stops the whole commit', async (store) => {
    await store.commit({ puts: [['a', bytes('1')]] })
    const wrong: readonly (readonly [string, Uint8Array | undefined])[] = [
      ['a', bytes('2')],
      ['a', undefined],
      ['b', bytes('1')],
      ['a', bytes('')],
    ]
    for (const condition of wrong) {
      const commit = store.commit({ puts: [['b', bytes('x')]], deletes: ['a'], conditions: [condition] })
      await assert.rejects(commit, { code: 'CONFLICT' })
    }
    assert.equal(textOf(await store.get('a')), '1')
    assert.equal(await store.get('b'), undefined)
  })

  promise('commits made at once take effect in the order of the calls, each seeing those before', async (store) => {
    const outcomes = await Promise.allSettled([
      store.commit({ puts: [['a', bytes('1')]], conditions: [['a', undefined]] }),
      store.commit({ puts: [['a', bytes('late')]], conditions: [['a', undefined]] }),
      store.commit({ puts: [['a', bytes('2')]], conditions: [['a', bytes('1')]] }),
      store.commit({ deletes: ['a'], conditions: [['a', bytes('2')]] }),
      store.commit({ puts: [['a', bytes('3')]], conditions: [['a', undefined]] }),
    ])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
    )
    assert.equal(textOf(await store.get('a')), '3')
  })

  promise('of many that build on the same value exactly one wins', async (store) => {
    const racers = Array.from({ length: 50 }, (_, racer) =>
      store.commit({ puts: [['a', bytes(String(racer))]], conditions: [['a', undefined]] }),
    )
    const outcomes = await Promise.allSettled(racers)
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.equal(textOf(await store.get('a')), '0')
  })

  promise('changing a value that was read changes nothing in the store', async (store) => {
    await store.commit({ puts: [['a', bytes('1')]] })
    ;(await store.get('a'))?.fill(0)
    assert.equal(textOf(await store.get('a')), '1')
  })

  promise('close waits for commits under way; after it every call says STORE_CLOSED', async (store) => {
    const committing = store.commit({ puts: [['a', bytes('1')]] })
    await store.close()
    await committing
    await assert.rejects(store.commit({ puts: [['a', bytes('2')]] }), { code: 'STORE_CLOSED' })
    await assert.rejects(store.get('a'), { code: 'STORE_CLOSED' })
    await assert.rejects(keysOf(store, 'a'), { code: 'STORE_CLOSED' })
  })
}

async function keysOf(store: Store, prefix: string): Promise<readonly string[]> {
  const keys: string[] = []
  for await (const [key] of store.entries(prefix)) keys.push(key)
  return keys
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function textOf(value: Uint8Array | undefined): string | undefined {
  return value && new TextDecoder().decode(value)
}
