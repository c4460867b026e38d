import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { CliError } from '../errors.js'
import { describeCause, isUntrusted } from '../untrusted.js'
import type { Target } from './target.js'

const connectMilliseconds = 15_000

/** A connection to the broker, over TLS where its address says so. @throws CliError UNREACHABLE, SERVER_NOT_TRUSTED; the signal's reason */
export async function openStream(target: Target, signal: AbortSignal): Promise<Socket> {
  const { text, secure, host } = target.address
  const socket = open(target)
  socket.on('error', () => undefined) // whoever uses it hears it too; unheard for a moment it would end the process
  const late = setTimeout(() => socket.destroy(new Error('no answer in time')), connectMilliseconds)
  try {
    await once(socket, secure ? 'secureConnect' : 'connect', { signal })
    return socket
  } catch (cause) {
    socket.destroy()
    signal.throwIfAborted()
    const reason = describeCause(cause)
    if (isUntrusted(reason)) {
      const advice = `expected a certificate for ${host} of an authority in --ca, or without it of one that is known to all`
      throw new CliError('SERVER_NOT_TRUSTED', `${text} is not trusted (${reason}): ${advice}`, { cause })
    }
    throw new CliError('UNREACHABLE', `cannot reach ${text} (${reason})`, { cause })
  } finally {
    clearTimeout(late)
  }
}

function open({ address: { secure, host, port }, ca, cert, key }: Target): Socket {
  if (!secure) return connectTcp({ host, port })
  return connectTls({ host, port, ca, cert, key, ...(isIP(host) === 0 && { servername: host }) })
}

/** Whether the other end shows a certificate of one of these authorities (PEM). */
export function isOf(authorities: string, socket: Socket): boolean {
  if (!(socket instanceof TLSSocket)) return false
  const roots = authorities.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const chain = chainOf(socket.getPeerCertificate(true))
  return roots
    .map((pem) => new X509Certificate(pem))
    .some((root) => chain.some((certificate) => isIssuedBy(root, certificate)))
}

function chainOf(leaf: DetailedPeerCertificate): readonly X509Certificate[] {
  const chain = new Set<DetailedPeerCertificate>()
  // A root names itself as its issuer.
  for (let at: DetailedPeerCertificate | undefined = leaf; at?.raw && !chain.has(at); at = at.issuerCertificate) {
    chain.add(at)
  }
  return [...chain].map(({ raw }) => new X509Certificate(raw))
}

function isIssuedBy(root: X509Certificate, certificate: X509Certificate): boolean {
  if (certificate.fingerprint256 === root.fingerprint256) return true
  return certificate.checkIssued(root) && certificate.verify(root.publicKey)
}
