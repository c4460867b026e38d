import type { AuditRecord } from '#protocol'
import { decodeEntry } from '../entries/read-entry.js'
import { AuditError } from '../errors.js'
import { layout } from '../layout.js'
import { LogReader } from '../reading/reader.js'
import { readTextFile } from '../text-file.js'
import { parseCheckpoint, type TreeHead, verifyCheckpoint } from '../tree/checkpoint.js'
import { hashLeaf } from '../tree/merkle.js'
import { isIncluded, proveInclusion } from './inclusion.js'
import { TileNodes } from './nodes.js'
import { encodeTlogProof, parseTlogProof } from './tlog-proof.js'

/**
 * A C2SP tlog-proof that a record stands in the log, with the record itself. Reads the few tiles that it takes, also of a
 * log that grows, and gives out only a proof that holds.
 * @throws AuditError RECORD_UNKNOWN, AUDIT_GONE, AUDIT_CORRUPT
 */
export async function proveRecord(directory: string, sequence: number): Promise<string> {
  const checkpoint = await readTextFile(layout.checkpoint(directory), 'log/checkpoint')
  if (checkpoint === undefined) throw new AuditError('RECORD_UNKNOWN', `there is no checkpoint in ${directory}`)
  const head = parseCheckpoint(checkpoint)
  if (sequence >= head.size) {
    const problem = `record ${sequence} is not covered by a checkpoint; the newest covers ${head.size} records, from 0; a newer one may`
    throw new AuditError('RECORD_UNKNOWN', problem)
  }
  const entry = await new LogReader(directory).entry(sequence)
  const hashes = await proveInclusion(sequence, head.size, new TileNodes(directory).read)
  if (!isIncluded(hashLeaf(entry), sequence, head, hashes)) {
    const problem = `record ${sequence} and the tiles do not lead to the root of the checkpoint; "audit verify" says where`
    throw new AuditError('AUDIT_CORRUPT', problem, { sequence })
  }
  return encodeTlogProof({ entry, index: sequence, hashes, checkpoint })
}

/** What a proof shows: this record stood at its place in the log when the log was of this size. */
export interface ProvenRecord {
  readonly record: AuditRecord
  readonly head: TreeHead
}

/**
 * Checks a proof with nothing but the log's verifier key, or several, of which any will do.
 * @throws AuditError AUDIT_INVALID for whatever does not show that the log holds the record
 */
export function verifyRecordProof(text: string, verifierKeys: readonly string[]): ProvenRecord {
  const { entry, index, hashes, checkpoint } = parseTlogProof(text)
  const head = verifyCheckpoint(checkpoint, ...verifierKeys)
  if (!isIncluded(hashLeaf(entry), index, head, hashes)) {
    throw new AuditError('AUDIT_INVALID', `the hashes do not lead from the record to the root of the checkpoint`)
  }
  const record = decodeEntry(entry)
  if (record.sequence === index) return { record, head }
  throw new AuditError('AUDIT_INVALID', `the record at place ${index} says that it is number ${record.sequence}`)
}
