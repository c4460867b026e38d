import { parseFingerprint, parseTrustDomain } from '#protocol'
import type { Manifest } from '../../backup/manifest.js'
import type { Member } from '../../backup/member.js'
import { readBackup } from '../../backup/read.js'
import { writeBackup } from '../../backup/write.js'

export const manifest: Manifest = {
  format: 1,
  version: '0.1.0',
  trustDomain: parseTrustDomain('fleet.example'),
  rootSpki: parseFingerprint('ab'.repeat(32)),
  epoch: 7,
  treeSize: 3,
  checkpoint: 'fleet.example/audit\n3\n…\n',
  at: Date.parse('2026-11-24T03:00:00Z'),
}

export function member(name: string, content: string | Uint8Array = `what ${name} holds`): Member {
  return { name, bytes: Buffer.from(content) }
}

export async function* each<Item>(items: Iterable<Item>): AsyncGenerator<Item, void> {
  yield* items
}

export async function written(...members: readonly Member[]): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of writeBackup(manifest, each(members))) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** All members of a backup that comes in chunks of so many bytes. */
export async function readAll(backup: Uint8Array, chunkBytes = 1000): Promise<readonly Member[]> {
  const chunks = Array.from({ length: Math.ceil(backup.length / chunkBytes) }, (_, at) =>
    backup.subarray(at * chunkBytes, (at + 1) * chunkBytes),
  )
  const { members } = await readBackup(each(chunks))
  const all: Member[] = []
  for await (const one of members) all.push(one)
  return all
}
