import type { ChannelBinding } from '#protocol'
import { EnrollmentError } from './errors.js'
import type { Nonces } from './nonces.js'
import type { EnrollmentProfile } from './profile.js'

/** The connection that a request came over. */
export interface Channel {
  /** The other end's address, with or without a port; an IPv6 address with a port stands in brackets. */
  readonly peer: string
  /** `exportKeyingMaterial(32, channelBindingLabel, '')` of the TLS 1.3 connection; absent where TLS ends before us. */
  readonly exporter?: Uint8Array
  /** Milliseconds since 1970: when the connection was made. Default: unknown */
  readonly since?: number
}

/** What a request's evidence must have been made for. */
export interface BoundChannel {
  readonly binding: Exclude<ChannelBinding, 'none'>
  readonly value: Uint8Array
  /** Milliseconds since 1970: the value was not known before, and nothing that is made for it is older. */
  readonly since?: number
}

/**
 * The value that ties the evidence to this connection, or the one-time nonce that stands in for it. The nonce is spent
 * here, before anything is checked with it. @throws EnrollmentError BINDING_REQUIRED, NONCE_INVALID, BUSY
 */
export function bindChannel(
  request: { readonly binding: BoundChannel['binding']; readonly nonce?: Uint8Array },
  channel: Channel,
  profile: EnrollmentProfile,
  nonces: Nonces,
): BoundChannel {
  switch (request.binding) {
    case 'exporter':
      if (channel.exporter === undefined) {
        throw new EnrollmentError('BINDING_REQUIRED', 'TLS does not end here, so the exporter is out of reach')
      }
      return {
        binding: 'exporter',
        value: channel.exporter,
        ...(channel.since !== undefined && { since: channel.since }),
      }
    case 'nonce':
      if (profile.requireExporter === true) {
        throw new EnrollmentError('BINDING_REQUIRED', `profile ${profile.name} takes the exporter only`)
      }
      if (request.nonce === undefined)
        throw new EnrollmentError('NONCE_INVALID', 'the binding names a nonce, none came')
      return { binding: 'nonce', value: request.nonce, since: nonces.spend(request.nonce) }
  }
}
