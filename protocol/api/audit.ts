import type { DeviceId } from '../ids.js'
import type { Act } from './act.js'

export interface RotateKeyRequest extends Act {
  /** For so long the key before it signs as well. Default 7, at most 365. */
  readonly days?: number
}

/** Verifier keys of C2SP signed-note. */
export interface RotateKeyAnswer {
  readonly verifierKey: string
  readonly previousVerifierKey: string
  /** Until then checkpoints carry the signature of the one before as well. */
  readonly notAfter: string
}

export interface AuditCheckpoint {
  /** The signed note (C2SP tlog-checkpoint). */
  readonly checkpoint: string
  /** The verifier key that checks it (C2SP signed-note). */
  readonly verifierKey: string
}

/** What a third party needs to check a payload against its record; bytes in lowercase hex. */
export interface PayloadDisclosureView {
  readonly sequence: number
  readonly time: string
  readonly device: DeviceId
  readonly topic: string
  /** Of the payload, in bytes. */
  readonly size: number
  readonly payloadCommitment: string
  /** SHA-256(r ‖ u32 length ‖ payload) is the commitment. */
  readonly r: string
}

export interface ErasePayloadsRequest extends Required<Act> {
  /** In UTC, as `2026-11-23`. */
  readonly day: string
  /** Only what this device said. Default: what any did */
  readonly device?: DeviceId
}

export interface ErasePayloadsAnswer {
  readonly day: string
  readonly device?: DeviceId
  /** Keys that were destroyed; a device has more than one when it spoke again after an erasure. */
  readonly keys: number
}
