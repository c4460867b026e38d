import { createServer, type SecureContextOptions } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { BrokerError } from '../errors.js'
import type { BrokerLimits } from '../limits.js'
import { TlsTransport } from './tls-transport.js'
import type { Transport } from './transport.js'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly tls: TlsCredential
}

export interface TlsCredential {
  /** PEM */
  readonly key: string
  /** PEM, the server's certificate first */
  readonly cert: string
  /** PEM certificates that sign devices; nothing else is trusted here. */
  readonly ca: string | readonly string[]
}

export interface Listener {
  readonly port: number
  /** For every handshake from now on; connections that are there stay. */
  renewTls(tls: TlsCredential): void
  /** Takes no more connections; those that are there stay. */
  close(): void
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

/** TLS with client certificates, always. @throws BrokerError LISTEN_FAILED */
export async function listenTls(
  { host, port, tls }: ListenOptions,
  limits: BrokerLimits,
  on: {
    readonly connection: (transport: Transport) => void
    /** The handshake did not succeed; `address` where it is known. */
    readonly refused: (error: Error, address: string | undefined) => void
  },
): Promise<Listener> {
  const server = createServer({
    ...secured(tls),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: limits.handshakeSeconds * 1000,
  })
  server.maxConnections = limits.maxConnections
  server.on('secureConnection', (socket) => on.connection(new TlsTransport(socket)))
  server.on('tlsClientError', (error, socket) => {
    on.refused(error, socket.remoteAddress)
    socket.destroy() // nobody else ends one whose handshake takes too long
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new BrokerError('LISTEN_FAILED', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }))
    })
    server.listen(port, host, resolve)
  })
  server.on('error', () => undefined) // of accepting a single connection; the next one is tried anyway
  return {
    port: (server.address() as AddressInfo).port,
    renewTls: (tls) => server.setSecureContext(secured(tls)),
    close: () => server.close(),
  }
}

/** All that a handshake goes by: a new context keeps nothing of the one before. */
function secured({ key, cert, ca }: TlsCredential): SecureContextOptions {
  return {
    ...{ key, cert, ca: typeof ca === 'string' ? ca : [...ca] },
    ...{ minVersion: 'TLSv1.2', ciphers, honorCipherOrder: true },
  }
}
