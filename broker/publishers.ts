import type { DropReason, SessionEndReason } from '#protocol'

/** Why a device is kept out; an end of sessions, and a loss of messages, of the same name. */
export type SilenceReason = Extract<SessionEndReason, 'revoked' | 'locked'> & DropReason

/** Whose messages are taken back. */
export interface Publishers {
  has(device: string): boolean
}
