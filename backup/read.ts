import { createHash } from 'node:crypto'
import { BytesReader } from './bytes-reader.js'
import { BackupError } from './errors.js'
import { decodeManifest, type Manifest } from './manifest.js'
import { type Member, mostMemberBytes } from './member.js'
import { isContentName, manifestName, sumsName, unfinishedName } from './names.js'
import { blockBytes, decodeHeader, endOfArchive, paddingOf, type TarHeader } from './tar.js'
import { sumLine } from './write.js'

/** A backup as it goes by; nothing of it is to be believed before its members have come to their end. */
export interface ReadBackup {
  readonly manifest: Manifest
  /**
   * All members behind the manifest but the sums, which have held when this ends, and nothing has come behind them.
   * @throws BackupError BACKUP_UNFINISHED, BACKUP_INVALID
   */
  readonly members: AsyncGenerator<Member, void>
}

/** @throws BackupError BACKUP_UNFINISHED, BACKUP_INVALID */
export async function readBackup(chunks: AsyncIterable<Uint8Array>): Promise<ReadBackup> {
  const archive = new Archive(new BytesReader(chunks))
  const first = await archive.next()
  if (first.name !== manifestName) throw invalid(`expected ${manifestName} first, got ${first.name}`)
  return { manifest: decodeManifest(first.bytes), members: contentOf(archive) }
}

async function* contentOf(archive: Archive): AsyncGenerator<Member, void> {
  for (;;) {
    const header = await archive.header()
    if (header.name === sumsName) return await archive.end(header)
    if (header.name === unfinishedName) throw await archive.unfinished(header)
    if (!isContentName(header.name)) throw invalid(`${header.name} does not belong into a backup`)
    yield await archive.content(header)
  }
}

/** Of what is told to the reader. */
const mostWordsBytes = 1024

class Archive {
  readonly #reader: BytesReader
  readonly #seen = new Set<string>()
  /** Over the lines that the sums must be. */
  readonly #sums = createHash('sha256')
  #sumsBytes = 0

  constructor(reader: BytesReader) {
    this.#reader = reader
  }

  async next(): Promise<Member> {
    return await this.content(await this.header())
  }

  async header(): Promise<TarHeader> {
    const header = decodeHeader(await this.#read(blockBytes))
    if (this.#seen.has(header.name)) throw invalid(`${header.name} comes twice`)
    this.#seen.add(header.name)
    return header
  }

  async content({ name, size }: TarHeader): Promise<Member> {
    if (size > mostMemberBytes)
      throw invalid(`${name} has ${size} bytes, and no member has more than ${mostMemberBytes}`)
    const member = { name, bytes: await this.#read(size) }
    await this.#skip(paddingOf(size), name)
    const line = sumLine(member)
    this.#sums.update(line)
    this.#sumsBytes += line.length
    return member
  }

  async unfinished({ size }: TarHeader): Promise<BackupError> {
    const why = (await this.#read(Math.min(size, mostWordsBytes)))
      .toString('latin1')
      .replace(/[^\x20-\x7e]+/g, ' ')
      .trim()
    return new BackupError('BACKUP_UNFINISHED', `the backup was not finished: ${why}; take another`)
  }

  /** The sums of all that came, and then nothing more. */
  async end({ name, size }: TarHeader): Promise<void> {
    if (size !== this.#sumsBytes) throw invalid(`${name} does not name just the members that came before it`)
    const said = createHash('sha256')
    for (let left = size; left > 0;) {
      const piece = await this.#read(Math.min(left, mostMemberBytes))
      said.update(piece)
      left -= piece.length
    }
    if (!said.digest().equals(this.#sums.digest())) throw invalid(`a member is not the one that ${name} says`)
    await this.#skip(paddingOf(size), name)
    await this.#skip(endOfArchive, 'the archive')
    if (!(await this.#reader.isAtEnd())) throw invalid('more comes behind its end')
  }

  async #skip(expected: Uint8Array, name: string): Promise<void> {
    if (!(await this.#read(expected.length)).equals(expected)) throw invalid(`other bytes than zeros behind ${name}`)
  }

  async #read(length: number): Promise<Buffer> {
    const bytes = await this.#reader.read(length)
    if (bytes.length === length) return bytes
    const problem = 'it ends in the middle: the backup was not finished, or the file was cut; take another'
    throw new BackupError('BACKUP_UNFINISHED', problem)
  }
}

function invalid(problem: string): BackupError {
  return new BackupError('BACKUP_INVALID', problem)
}
