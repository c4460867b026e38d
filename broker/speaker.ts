import type { DeviceId, DropReason, Fingerprint, SessionEndReason } from '#protocol'
import type { Rights } from './rights.js'

/** Why a device is kept out; an end of sessions, and a loss of messages, of the same name. */
export type SilenceReason = Extract<SessionEndReason, 'revoked' | 'locked'> & DropReason

/** Who says something, and where from: what is asked before it is heard where that is later than it was said. */
export interface Speaker {
  readonly device: DeviceId
  /** By which it was let in; undefined for what was stored before that was written down. */
  readonly certificate: Fingerprint | undefined
  readonly address: string | undefined
}

/** Why what a device has said, and what waits for its record, is never heard. */
export type Silenced = SilenceReason | 'quarantined'

/** Tells what stands against something that was said; undefined: nothing. `by`: the rights by which it was allowed. */
export type Silencing = (speaker: Speaker, by: Rights) => Silenced | undefined

/** Whose messages are taken back. */
export interface Publishers {
  has(device: string): boolean
}
