import { StoreError } from './errors.js'
import type { Changes } from './store.js'

/** Undefined when every condition holds against what `current` says; else the error that the commit rejects with. */
export async function findConflict(
  { conditions = [] }: Changes,
  current: (key: string) => Promise<Uint8Array | undefined> | Uint8Array | undefined,
): Promise<StoreError | undefined> {
  for (const [key, expected] of conditions) {
    if (!sameBytes(expected, await current(key))) {
      return new StoreError('CONFLICT', `${JSON.stringify(key)} does not hold the value that this change builds on`)
    }
  }
  return undefined
}

function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return Buffer.compare(one, other) === 0
}
