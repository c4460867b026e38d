import { createHash } from 'node:crypto'
import { encodeManifest, type Manifest } from './manifest.js'
import type { Member } from './member.js'
import { manifestName, sumsName, unfinishedName } from './names.js'
import { encodeHeader, endOfArchive, paddingOf } from './tar.js'

/** A backup, piece by piece: the manifest, then what it is of, then what shows that nothing is missing. */
export async function* writeBackup(
  manifest: Manifest,
  members: AsyncIterable<Member>,
): AsyncGenerator<Uint8Array, void> {
  const time = Math.floor(manifest.at / 1000)
  const sums: string[] = []
  const add = (member: Member): Buffer => {
    sums.push(sumLine(member))
    return archived(member, time)
  }
  yield add({ name: manifestName, bytes: encodeManifest(manifest) })
  for await (const member of members) yield add(member)
  yield archived({ name: sumsName, bytes: Buffer.from(sums.join('')) }, time)
  yield endOfArchive
}

/** What comes instead of all the rest where a backup cannot be brought to its end. */
export function unfinished(why: string): Uint8Array {
  return archived({ name: unfinishedName, bytes: Buffer.from(`${why}\n`) }, 0)
}

/** As `sha256sum` writes it, and checks it with `-c`. */
export function sumLine({ name, bytes }: Member): string {
  return `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`
}

function archived({ name, bytes }: Member, time: number): Buffer {
  return Buffer.concat([encodeHeader({ name, size: bytes.length, time }), bytes, paddingOf(bytes.length)])
}
