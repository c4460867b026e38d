import { findConflict } from './conditions.js'
import { StoreError } from './errors.js'
import type { Changes, Store } from './store.js'

/** A store that forgets when the process ends: the double for tests, with the same promises but that one. */
export function createMemoryStore(): Store {
  const values = new Map<string, Uint8Array>()
  let last: Promise<void> = Promise.resolve()
  let closed = false

  const requireOpen = (): void => {
    if (closed) throw new StoreError('STORE_CLOSED', 'the store is closed')
  }

  const apply = async (changes: Changes): Promise<void> => {
    const conflict = await findConflict(changes, (key) => values.get(key))
    if (conflict) throw conflict
    for (const key of changes.deletes ?? []) values.delete(key)
    for (const [key, value] of changes.puts ?? []) values.set(key, Uint8Array.from(value))
  }

  return {
    async get(key) {
      requireOpen()
      const value = values.get(key)
      return value && Uint8Array.from(value)
    },

    async *entries(prefix) {
      requireOpen()
      const snapshot = [...values].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => byBytes(a, b))
      for (const [key, value] of snapshot) yield [key, Uint8Array.from(value)]
    },

    async commit(changes) {
      requireOpen()
      const result = last.then(() => apply(changes))
      last = result.catch(() => undefined)
      await result
    },

    async close() {
      closed = true
      await last
    },
  }
}

/** The order of level: by UTF-8 bytes, where JavaScript compares UTF-16 units. */
function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
