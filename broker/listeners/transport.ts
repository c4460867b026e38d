import type { Peer } from './peer.js'

/** Ways to reach the broker. Who is connected, what is allowed and what is recorded are the same on all of them. */
export type ListenerKind = 'tls' | 'websocket'

/** What a transport tells the one who uses it. */
export interface TransportEvents {
  readonly data: (chunk: Buffer) => void
  /** It takes bytes again after {@link Transport.write} has said no. */
  readonly drain: () => void
  /** The peer broke the rules of what carries the bytes; the connection has to end. */
  readonly failed: (error: Error) => void
  /** Its place is needed for a connection of someone who holds fewer; never told once it is established. */
  readonly crowdedOut: () => void
  /** The bytes have ended, both ways; told once. `error` where that was nobody's wish. */
  readonly closed: (error?: Error) => void
}

/** The bytes of one client whose certificate the TLS handshake has verified, whatever carries them. */
export interface Transport {
  readonly kind: ListenerKind
  readonly peer: Peer
  /** DER of the certificate that the TLS handshake, or the one it resumes, has verified; until it is established. */
  readonly peerCertificate: Uint8Array | undefined
  /** Since when something has begun to arrive that cannot be handed over before its end. */
  readonly partialSince: number | undefined
  /** Begins to read. */
  begin(events: TransportEvents): void
  /** CONNACK 0 was given, so it is no longer one of those that may turn out to be nobody. */
  established(): void
  /** False when the bytes wait for the peer to read; they are kept all the same. */
  write(bytes: Uint8Array): boolean
  /** Stops reading; what is already under way may still come. */
  pause(): void
  resume(): void
  /** Ends when what was written has gone. */
  end(): void
  /** Ends at once. */
  destroy(): void
  /** Resolves when nothing is left of it. */
  whenGone(): Promise<void>
}
