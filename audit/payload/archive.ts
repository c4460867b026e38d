import { readFile } from 'node:fs/promises'
import type { AuditRecord } from '#protocol'
import { AuditError } from '../errors.js'
import { blindingOf, commitmentOf, DayKey } from './day-key.js'
import { dayOf } from './day.js'
import { payloadLayout } from './files.js'
import type { KeyFolders } from './key-file.js'
import { encodeMessagePlace } from './message-place.js'
import { decodeSlot, isErased, slotBytes, unwrapSlot } from './key-slot.js'
import { SegmentReader } from './segment-reader.js'
import { openPayload } from './stored-payload.js'
import { readWrappingKey } from './wrapping-key.js'

export interface PayloadArchiveOptions extends KeyFolders {
  /** The durable record of this place; undefined when there is none. */
  readonly recordAt: (sequence: number) => Promise<AuditRecord | undefined>
}

/** What a third party needs, beside a payload and the log, to see that the record is about this payload. */
export interface PayloadDisclosure {
  readonly record: CommittingRecord
  /** r: opens this message's commitment, and no other. */
  readonly blinding: Uint8Array
}

/** A record of a message that commits to what the message said. */
export type CommittingRecord = Extract<AuditRecord, { readonly event: 'message.publish' }> &
  Record<'payloadCommitment', Uint8Array>

/** What can be said later of the payloads that a log commits to; reads the files beside the log, while that goes on. */
export class PayloadArchive {
  readonly #options: PayloadArchiveOptions
  readonly #segments: SegmentReader

  constructor(options: PayloadArchiveOptions) {
    this.#options = options
    this.#segments = new SegmentReader(options.directory)
  }

  /** @throws AuditError PAYLOAD_UNKNOWN, PAYLOAD_ERASED, AUDIT_CORRUPT */
  async disclose(sequence: number): Promise<PayloadDisclosure> {
    const record = await this.#committing(sequence)
    const dayKey = await this.#dayKeyOf(record)
    return { record, blinding: blindingOf(dayKey, encodeMessagePlace(record)) }
  }

  /** The payload, if it was stored. @throws AuditError PAYLOAD_UNKNOWN, PAYLOAD_ERASED, AUDIT_CORRUPT; never gives another one */
  async read(sequence: number): Promise<Buffer> {
    const record = await this.#committing(sequence)
    const { device, payloadCommitment, size, time } = record
    const dayKey = await this.#dayKeyOf(record)
    const place = encodeMessagePlace(record)
    const stored = await this.#segments.read(dayOf(time), { device, place }, size)
    if (!stored) {
      const why = 'it came while audit.payload was not "store", was refused, or is over its days or quota'
      throw new AuditError('PAYLOAD_UNKNOWN', `the payload of record ${sequence} is not stored: ${why}`)
    }
    const payload = openPayload({ device, place }, stored, new DayKey(dayKey).encryptionKey)
    if (payload && commitmentOf(blindingOf(dayKey, place), payload).equals(payloadCommitment)) return payload
    throw new AuditError('AUDIT_CORRUPT', `what is stored is not the payload of record ${sequence}`, { sequence })
  }

  async #committing(sequence: number): Promise<CommittingRecord> {
    const record = await this.#options.recordAt(sequence)
    if (!record) throw new AuditError('PAYLOAD_UNKNOWN', `there is no record ${sequence}`)
    if (isCommitting(record)) return record
    const what = record.event === 'message.publish' ? 'was made without a commitment' : `is a ${record.event}`
    throw new AuditError(
      'PAYLOAD_UNKNOWN',
      `record ${sequence} ${what}; expected a message.publish with a payloadCommitment`,
    )
  }

  async #dayKeyOf({ device, time, sequence }: CommittingRecord): Promise<Buffer> {
    const { directory, keyFolder } = this.#options
    const day = dayOf(time)
    const path = payloadLayout.keys(directory, day)
    const slot = findSlot(await readFile(path).catch(missing(path)), device, sequence)
    if (!slot) throw new AuditError('AUDIT_CORRUPT', `${path} holds no key of ${device} for record ${sequence}`)
    if (isErased(slot)) throw erasedKey(`the keys of ${device} were erased`, sequence)
    const wrappingPath = payloadLayout.wrappingKey(keyFolder, day)
    const wrappingKey = readWrappingKey(wrappingPath)
    if (!wrappingKey)
      throw erasedKey(`${wrappingPath} is not there: the day was erased, or the folder is another`, sequence)
    const dayKey = unwrapSlot(wrappingKey, day, slot)
    if (dayKey) return dayKey
    throw new AuditError('AUDIT_CORRUPT', `${path}: the key of ${device} was changed, or wrapped with another one`)
  }
}

function isCommitting(record: AuditRecord): record is CommittingRecord {
  return record.event === 'message.publish' && record.payloadCommitment?.length === 32
}

/** As key-slot.ts says: the last one that begins with this record or an earlier one. */
function findSlot(bytes: Buffer, device: string, sequence: number): Buffer | undefined {
  for (let at = (Math.floor(bytes.length / slotBytes) - 1) * slotBytes; at >= 0; at -= slotBytes) {
    const slot = bytes.subarray(at, at + slotBytes)
    const found = decodeSlot(slot)
    if (found?.device === device && found.from <= sequence) return slot
  }
  return undefined
}

function erasedKey(how: string, sequence: number): AuditError {
  return new AuditError('PAYLOAD_ERASED', `record ${sequence} can no more be opened: ${how}`, { sequence })
}

function missing(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new AuditError('AUDIT_CORRUPT', `cannot read ${path}`, { cause })
  }
}
