import type { KeyObject } from 'node:crypto'

/** What checkpoints are signed with: Ed25519 private keys. */
export interface SigningKeys {
  readonly signingKey: KeyObject
  /** While the key changes: checkpoints carry its signature as well, and one by either is accepted on disk. */
  readonly previousKey?: KeyObject | undefined
}

/** The newest first. */
export function keysOf({ signingKey, previousKey }: SigningKeys): readonly KeyObject[] {
  return previousKey ? [signingKey, previousKey] : [signingKey]
}
