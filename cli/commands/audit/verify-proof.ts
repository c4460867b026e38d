import { readFileSync, statSync } from 'node:fs'
import { commitmentOf, maxProofBytes, plainRecord, type ProvenRecord, verifyRecordProof } from '#audit'
import { CodedError, decodeJson, encodeHex, integer, object, optional, parsed, text } from '#protocol'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { recordCells } from './record.js'

interface Shown {
  readonly proof: string
  /** What somebody claims was said, and what opens the record's commitment; both or neither. */
  readonly payload: string | undefined
  readonly disclosure: string | undefined
}

/** Shows the record that a proof proves, and whether it is of the payload that is shown beside it. */
export function verifyProof(output: Output, { proof, payload, disclosure }: Shown, keys: readonly string[]): void {
  if ((payload === undefined) !== (disclosure === undefined)) {
    throw new CliError('USAGE', '--payload and --disclosure go together: one opens what the other is held against')
  }
  const { record, head } = openProof(proof, keys)
  const ok = payload === undefined || disclosure === undefined ? undefined : isPayloadOf(record, payload, disclosure)
  const plain = plainRecord(record)
  const { origin, size } = head
  const root = encodeHex(head.root)
  const said = ok === undefined ? undefined : `${payload} ${ok ? 'is what was said' : 'is NOT what was said'}`
  if (output.isForPeople) {
    output.line(`ok: record ${record.sequence} of ${size.toLocaleString('en')}, root ${root}, signed by ${origin}`)
    output.item(plain, recordCells(plain))
    if (said !== undefined) output.line(said)
  } else {
    output.one({ ok: ok ?? true, origin, size, root, record: plain, ...(ok !== undefined && { payload: ok }) }, [
      ['origin', origin],
      ['records', String(size)],
      ['root', root],
      ['record', JSON.stringify(plain)],
      ['payload', said],
    ])
  }
  if (ok === false) {
    throw new CliError('CHECK_FAILED', `${payload} is not the payload that record ${record.sequence} commits to`)
  }
}

function openProof(file: string, verifierKeys: readonly string[]): ProvenRecord {
  const text = readBounded(file, maxProofBytes, 'a proof that "audit prove" wrote').toString('utf8')
  try {
    return verifyRecordProof(text, verifierKeys)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unreadable'
    throw new CliError('CHECK_FAILED', `${file} does not prove that this log holds the record: ${why}`, { cause })
  }
}

/** MQTT has no larger ones. */
const maxPayloadBytes = 256 * 1024 * 1024
const maxDisclosureBytes = 1024 * 1024

/** By the commitment in the proven record; what the disclosure says that it is does not count. */
function isPayloadOf(record: ProvenRecord['record'], payloadFile: string, disclosureFile: string): boolean {
  const payload = readBounded(payloadFile, maxPayloadBytes, 'a payload')
  const { sequence, r } = readDisclosure(disclosureFile)
  if (record.event !== 'message.publish' || record.payloadCommitment === undefined) {
    throw new CliError('CHECK_FAILED', `record ${record.sequence} commits to no payload`)
  }
  if (sequence !== record.sequence) {
    const problem = `${disclosureFile} is of record ${sequence}, the proof is of record ${record.sequence}`
    throw new CliError('CHECK_FAILED', problem)
  }
  return commitmentOf(r, payload).equals(record.payloadCommitment)
}

const place = integer(0, Number.MAX_SAFE_INTEGER)
const forPeople = optional(text(64 * 1024))
const decodeDisclosure = object({
  ...{ sequence: place, r: parsed(parseHash), size: optional(place), time: forPeople, device: forPeople },
  ...{ topic: forPeople, payloadCommitment: forPeople },
})

function readDisclosure(file: string) {
  const json = readBounded(file, maxDisclosureBytes, 'what "audit payload N --disclose -o json" wrote').toString('utf8')
  try {
    return decodeJson(json, decodeDisclosure, file)
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause
    throw new CliError('CHECK_FAILED', `${file} discloses nothing: ${cause.message}`, { cause })
  }
}

function parseHash(hex: string): Buffer {
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new CliError('CHECK_FAILED', 'expected 32 bytes in lowercase hex')
  return Buffer.from(hex, 'hex')
}

function readBounded(file: string, maxBytes: number, what: string): Buffer {
  try {
    if (statSync(file).size <= maxBytes) return readFileSync(file)
  } catch (cause) {
    throw new CliError('CANNOT_READ', `cannot read ${file}: expected ${what}`, { cause })
  }
  throw new CliError('CHECK_FAILED', `${file} is larger than ${what} can be`)
}
