/**
 * A map of bytes that survives. Keys are text, ordered by their UTF-8 bytes; a key's room is its prefix up to the
 * first `/` (`registry/…`, `broker/…`), and each room writes below its own prefix only.
 */
export interface Store {
  get(key: string): Promise<Uint8Array | undefined>

  /** Entries whose key begins with `prefix`, in key order, as they were when the iteration began. */
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>

  /**
   * Makes all changes or none. Resolves only when they are durable; commits that are made while one is being synced
   * share the next sync, and take effect in the order of the calls.
   * @throws StoreError CONFLICT when a condition does not hold (then nothing was written), STORE_FAILED, STORE_FULL, STORE_CLOSED
   */
  commit(changes: Changes): Promise<void>

  /** Waits for commits under way, then lets go of the files. Later calls throw STORE_CLOSED. */
  close(): Promise<void>
}

export interface Changes {
  readonly puts?: readonly (readonly [key: string, value: Uint8Array])[]
  readonly deletes?: readonly string[]
  /** Compare-and-swap: each key must hold exactly this value now, or be absent where it says `undefined`. */
  readonly conditions?: readonly (readonly [key: string, expected: Uint8Array | undefined])[]
}
