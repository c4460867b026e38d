import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { proveConsistency } from '../../../audit/proof/consistency.js'
import type { ReadNode } from '../../../audit/proof/nodes.js'
import { signCheckpoint, verifierKeyOf } from '../../../audit/tree/checkpoint.js'
import { Frontier, type Hash, hashLeaf, hashNode } from '../../../audit/tree/merkle.js'
import { encodeSubmission } from '../../../audit/witness/submission.js'

export const origin = 'touchmark.test/log'

/** What a log has recorded, or says so: its signed checkpoint at every size. */
export interface History {
  readonly signingKey: KeyObject
  readonly verifierKey: string
  checkpoint(size: number): string
  /** The body of `add-checkpoint`. */
  submission(older: number, newer: number): Promise<string>
  /** Another history with the same key, which parts from this one at a record. */
  forkAt(index: number): History
}

export function createHistory(records = 300): History {
  return historyOf(
    Array.from({ length: records }, (_, index) => `record ${index}`),
    generateKeyPairSync('ed25519').privateKey,
  )
}

function historyOf(records: readonly string[], signingKey: KeyObject): History {
  const leaves = records.map((record) => hashLeaf(Buffer.from(record)))
  const checkpoint = (size: number) => signCheckpoint({ origin, size, root: rootOf(leaves.slice(0, size)) }, signingKey)
  const read: ReadNode = async (height, index) =>
    height === 0
      ? (leaves[index] ?? '')
      : hashNode(await read(height - 1, index * 2), await read(height - 1, index * 2 + 1))
  return {
    signingKey,
    verifierKey: verifierKeyOf(origin, signingKey),
    checkpoint,
    async submission(older, newer) {
      const proof = await proveConsistency(Math.min(older, newer), newer, read)
      return encodeSubmission({ older, proof, checkpoint: checkpoint(newer) })
    },
    forkAt: (index) => historyOf(records.with(index, 'another past'), signingKey),
  }
}

function rootOf(leaves: readonly Hash[]): Uint8Array {
  const frontier = new Frontier()
  for (const leaf of leaves) frontier.append(leaf)
  return Buffer.from(frontier.root(), 'latin1')
}
