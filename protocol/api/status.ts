import type { AuditMode } from '../audit-trail.js'
import type { Fingerprint } from '../ids.js'
import type { DeviceState } from './devices.js'

export interface OutsideCheckpointView {
  readonly size: number
  readonly at: string
}

export interface StatusView {
  readonly version: string
  readonly trustDomain: string
  readonly startedAt: string
  readonly devices: Readonly<Record<DeviceState, number>>
  readonly sessions: { readonly connected: number; readonly stored: number }
  readonly audit: {
    readonly mode: AuditMode
    /** The first record that is kept; of those before it only the hashes are. */
    readonly first: number
    readonly size: number
    readonly durable: number
    readonly healthy: boolean
    /** Checkpoints that somebody outside has: what they cover cannot be rewritten unseen. */
    readonly outside: {
      readonly newest?: OutsideCheckpointView
      readonly places: readonly {
        readonly kind: 'witness' | 'published'
        readonly name: string
        readonly newest?: OutsideCheckpointView
        /** Why the last attempt failed. */
        readonly problem?: string
      }[]
    }
  }
  readonly policy: { readonly version: number; readonly hash: Fingerprint }
  readonly issuer: { readonly subject: string; readonly notAfter: string }
}
