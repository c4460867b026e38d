import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls'
import { peerCertificateOf } from '#x509'
import type { Arrival } from './arrival.js'
import { withIssuers } from './server-chain.js'

export interface TlsCredential {
  /** PEM */
  readonly key: string
  /** PEM, the server's certificate first */
  readonly cert: string
  /** PEM certificates that sign devices; nothing else is trusted here. */
  readonly ca: string | readonly string[]
}

/** AEAD with ephemeral keys only; TLS 1.3 has nothing else. */
const ciphers = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')

/**
 * The TLS handshake, with a client certificate always. A session can be resumed by a ticket: that proves who it was,
 * and whether they are still let in is asked again by whoever reads the certificate.
 */
export class SecureServer {
  readonly #server: Server
  readonly #arrivals = new Map<string, Arrival>()

  constructor(tls: TlsCredential, secured: (socket: TLSSocket, arrival: Arrival) => void) {
    this.#server = createServer({ ...contextOf(tls), requestCert: true, rejectUnauthorized: true })
    this.#server.on('secureConnection', (socket) => {
      const arrival = this.#take(pathOf(socket))
      // Of a resumed session Node takes it for proof enough that there was one, with a certificate or without.
      const certificate = peerCertificateOf(socket)
      if (!certificate) arrival?.refuse('tls', 'no client certificate')
      else if (arrival) {
        arrival.certificate = certificate
        secured(socket, arrival)
      }
      if (!arrival?.alive) socket.destroy()
    })
    this.#server.on('tlsClientError', (error, socket) => {
      this.#take(pathOf(socket))?.record('tls', 'code' in error ? String(error.code) : error.message)
      socket.destroy()
    })
  }

  begin(arrival: Arrival): void {
    const { socket } = arrival
    const path = pathOf(socket)
    this.#arrivals.set(path, arrival)
    arrival.gone = () => this.#take(path)?.record('tls', 'closed during the handshake')
    this.#server.emit('connection', socket)
  }

  /** For every handshake from now on. The new context has ticket keys of its own, so nobody resumes what the old one saw. */
  renew(tls: TlsCredential): void {
    this.#server.setSecureContext(contextOf(tls))
  }

  /** The arrival whose handshake is over, one way or the other. */
  #take(path: string): Arrival | undefined {
    const arrival = this.#arrivals.get(path)
    this.#arrivals.delete(path)
    return arrival
  }
}

/** Node makes the TLS socket itself and does not tell of which socket; but no two connections share both their ends. */
function pathOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

/** All that a handshake goes by: a new context keeps nothing of the one before. */
function contextOf({ key, cert, ca }: TlsCredential): SecureContextOptions {
  const authorities = typeof ca === 'string' ? [ca] : [...ca]
  return {
    ...{ key, cert: withIssuers(cert, authorities), ca: authorities },
    ...{ minVersion: 'TLSv1.2', ciphers, honorCipherOrder: true },
    // Whoever is on the other end at the start stays there; and asking again and again is work for us alone.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
}
