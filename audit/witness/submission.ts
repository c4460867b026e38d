import { AuditError } from '../errors.js'
import { type Hash, hashBytes } from '../tree/merkle.js'

/** The body of `add-checkpoint` (https://c2sp.org/tlog-witness): a checkpoint, and that it follows what was seen before. */
export interface Submission {
  /** The size up to which the witness has cosigned the log. */
  readonly older: number
  readonly proof: readonly Hash[]
  readonly checkpoint: string
}

const maxProofLines = 63

export function encodeSubmission({ older, proof, checkpoint }: Submission): string {
  const lines = proof.map((hash) => `${Buffer.from(hash, 'latin1').toString('base64')}\n`)
  return `old ${older}\n${lines.join('')}\n${checkpoint}`
}

/** @throws AuditError AUDIT_INVALID */
export function parseSubmission(body: string): Submission {
  const gap = body.indexOf('\n\n')
  if (gap < 0) throw invalid('no empty line before the checkpoint')
  const [sizeLine = '', ...proofLines] = body.slice(0, gap).split('\n')
  const [, size = ''] = /^old (0|[1-9][0-9]{0,15})$/.exec(sizeLine) ?? []
  if (size === '' || !Number.isSafeInteger(Number(size))) throw invalid('the first line is not "old" and a size')
  if (proofLines.length > maxProofLines) throw invalid(`a proof of more than ${maxProofLines} hashes`)
  return { older: Number(size), proof: proofLines.map(parseHash), checkpoint: body.slice(gap + 2) }
}

function parseHash(line: string): Hash {
  const bytes = Buffer.from(line, 'base64')
  if (bytes.length !== hashBytes || bytes.toString('base64') !== line)
    throw invalid('a proof line is not a hash in base64')
  return bytes.toString('latin1')
}

function invalid(problem: string): AuditError {
  return new AuditError('AUDIT_INVALID', problem)
}
