import type { Duplex } from 'node:stream'

/** The private key behind a device's certificate; where it lives (a file, a TPM) is its own affair. */
export interface DeviceKey {
  readonly kind: 'software' | 'tpm'
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** ECDSA with SHA-256 over `data`, as DER Ecdsa-Sig-Value. */
  sign(data: Uint8Array): Promise<Uint8Array>
  /**
   * Opens TLS 1.3 to a server, with this key as the client's where the target names a certificate for it.
   * @throws AgentError UNREACHABLE, TIMED_OUT, SERVER_UNTRUSTED, CERTIFICATE_REFUSED, or whatever `verify` throws
   */
  connect(target: TlsTarget): Promise<TlsConnection>
  /** Lets go of whatever holds the key: a TPM, a worker. Connections that are open may end with it. */
  close(): Promise<void>
}

export interface Endpoint {
  /** A DNS name or an IP address, without brackets. */
  readonly host: string
  readonly port: number
}

/** Where to connect to, and how the other end must prove itself. */
export interface TlsTarget extends Endpoint {
  /** PEM; what the server's chain must lead to. With `verify` it may be empty. */
  readonly ca: readonly string[]
  /** PEM, the device's own certificate first, then its issuers. Without it the device stays anonymous. */
  readonly certificateChain?: string
  /**
   * Takes the place of the TLS stack's own check of chain, name and dates: the agent has its own idea of time.
   * Called after the handshake with what the server sent (DER, its own first), before the connection is handed out.
   */
  readonly verify?: (peerChain: readonly Uint8Array[]) => Promise<void>
  /** For TCP and TLS together; default 10,000. */
  readonly timeoutMs?: number
}

export interface TlsConnection {
  /** Application data in clear; destroying it ends the connection. */
  readonly stream: Duplex
  /** DER; the server's own certificate first. */
  readonly peerChain: readonly Uint8Array[]
  /** RFC 8446 §7.5 with an empty context; ties a request to this connection (RFC 9266). */
  exportKeyingMaterial(length: number, label: string): Uint8Array | Promise<Uint8Array>
}
