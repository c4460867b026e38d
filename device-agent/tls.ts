import { isIP } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { peerChainOf } from '#x509'
import type { Endpoint, TlsConnection, TlsTarget } from './device-key.js'
import { AgentError } from './errors.js'

const defaultTimeoutMs = 10_000

/** How Node's TLS gets at the private key: as PEM, or through an OpenSSL engine that holds it. */
export type TlsPrivateKey =
  { readonly key: string } | { readonly privateKeyEngine: string; readonly privateKeyIdentifier: string }

/** Opens TLS 1.3 with a private key where the target names a certificate; else the device stays anonymous. */
export async function openTls(target: TlsTarget, privateKey?: TlsPrivateKey): Promise<TlsConnection> {
  const socket = await shakeHands(target, privateKey)
  const peerChain = peerChainOf(socket)
  try {
    await target.verify?.(peerChain)
  } catch (error) {
    socket.destroy()
    throw error
  }
  return {
    stream: socket,
    peerChain,
    exportKeyingMaterial: (length, label) => socket.exportKeyingMaterial(length, label, Buffer.alloc(0)),
  }
}

async function shakeHands(target: TlsTarget, privateKey?: TlsPrivateKey): Promise<TLSSocket> {
  const socket = connect({
    host: target.host,
    port: target.port,
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}), // RFC 6066 §3: no IP addresses in SNI
    minVersion: 'TLSv1.3',
    ca: [...target.ca],
    rejectUnauthorized: target.verify === undefined,
    ...(target.certificateChain === undefined ? {} : { cert: target.certificateChain, ...privateKey }),
  })
  const timer = setTimeout(() => {
    socket.destroy(new AgentError('TIMED_OUT', `${place(target)} did not finish the TLS handshake in time`))
  }, target.timeoutMs ?? defaultTimeoutMs)
  // Whoever uses the stream hears of its end by 'close'; an error that nobody hears must not end the process.
  socket.on('error', () => undefined)
  try {
    return await secured(socket, target)
  } finally {
    clearTimeout(timer)
  }
}

function secured(socket: TLSSocket, target: TlsTarget): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => {
      resolve(socket)
    })
    socket.once('error', (error) => {
      reject(error instanceof AgentError ? error : connectError(error, target))
    })
    socket.once('close', () => {
      reject(new AgentError('UNREACHABLE', `${place(target)} closed the connection during the TLS handshake`))
    })
  })
}

/** Says which of the things that can be wrong before the first byte of HTTP or MQTT it was. */
export function connectError(error: Error, target: Endpoint): AgentError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  // The alerts of RFC 8446 §6.2 that speak of the client's certificate.
  if (/^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    const problem = `${place(target)} does not accept this device's certificate (${code}): it is revoked, superseded, expired, or of another service`
    return new AgentError('CERTIFICATE_REFUSED', problem, { cause: error })
  }
  if (/^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|INVALID_)/.test(code)) {
    return new AgentError('SERVER_UNTRUSTED', `${place(target)} shows a certificate that is not trusted (${code})`, {
      cause: error,
    })
  }
  return new AgentError('UNREACHABLE', `cannot reach ${place(target)}: ${code || error.message}`, { cause: error })
}

/** `host:port` as people and HTTP write it. */
export function place(target: Endpoint): string {
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`
}
