import { type SessionFacts, sessionNameBytes } from '#protocol'
import { writeHex } from '../entries/hex.js'
import { AuditError } from '../errors.js'

/*
 * What makes a message differ from all others under the same key: `[u64 sequence][10 bytes session][u48 session index]`.
 * A crash, or a failure of the disk, takes sequence numbers back that were given to records which nobody has seen; what
 * has them next belongs to another session, whose name was drawn anew, or is further on in the same. So it is never used
 * twice, as if it held a nonce, and takes no room in the record.
 */

export type MessagePlace = Pick<SessionFacts, 'session' | 'sessionIndex'> & { readonly sequence: number }

const sessionAt = 8
const indexAt = sessionAt + sessionNameBytes
export const messagePlaceBytes = indexAt + 6

/** @throws AuditError AUDIT_INVALID for what is no session's name */
export function writeMessagePlace(into: Buffer, at: number, { sequence, session, sessionIndex }: MessagePlace): void {
  into.writeUInt32BE(Math.floor(sequence / 2 ** 32), at)
  into.writeUInt32BE(sequence % 2 ** 32, at + 4)
  if (!writeHex(into, at + sessionAt, session, sessionNameBytes))
    throw new AuditError('AUDIT_INVALID', 'not the name of a session')
  into.writeUInt16BE(Math.floor(sessionIndex / 2 ** 32) & 0xffff, at + indexAt)
  into.writeUInt32BE(sessionIndex >>> 0, at + indexAt + 2)
}

export function encodeMessagePlace(place: MessagePlace): Buffer {
  const bytes = Buffer.alloc(messagePlaceBytes)
  writeMessagePlace(bytes, 0, place)
  return bytes
}

export function sequenceIn(place: Buffer): number {
  return place.readUInt32BE(0) * 2 ** 32 + place.readUInt32BE(4)
}

export const gcmNonceBytes = 12

/**
 * For AES-GCM under a key of one device and day (NIST SP 800-38D §8.2.1): the session says which of its connections, and
 * the lower half of the index which message.
 */
export function gcmNonceOf(place: Uint8Array): Buffer {
  const ofSession = place.subarray(sessionAt, sessionAt + 8)
  const ofMessage = place.subarray(messagePlaceBytes - 4)
  return Buffer.concat([ofSession, ofMessage], gcmNonceBytes)
}
