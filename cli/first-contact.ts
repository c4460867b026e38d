import { once } from 'node:events'
import { connect } from 'node:tls'
import { decodeHex, encodeBase64url, type JoinUri } from '#protocol'
import { encodePem, peerChainOf, spkiHash, spkiOf } from '#x509'
import { X509Certificate } from 'node:crypto'
import { CliError } from './errors.js'
import { describeCause } from './untrusted.js'

/**
 * The root certificate of a service of which only the key is known, as PEM: who answers may show any certificate, and the
 * one with the pinned key is what every connection after this is verified by.
 * @throws CliError UNREACHABLE, SERVER_NOT_TRUSTED
 */
export async function fetchRoot({ host, port, pins }: JoinUri): Promise<string> {
  const place = `${host}:${port}`
  const socket = connect({ host, port, servername: host, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
  socket.setTimeout(patienceMs, () => socket.destroy(new Error('no answer')))
  try {
    await once(socket, 'secureConnect')
  } catch (cause) {
    throw new CliError('UNREACHABLE', `cannot reach ${place} (${describeCause(cause)})`, { cause })
  }
  const chain = peerChainOf(socket)
  socket.destroy()
  const root = chain.find((der) => pins.includes(spkiHash(spkiOf(new X509Certificate(der).publicKey))))
  if (root !== undefined) return encodePem('CERTIFICATE', root)
  const expected = pins.map((pin) => `sha256:${encodeBase64url(decodeHex(pin))}`).join(' or ')
  throw new CliError('SERVER_NOT_TRUSTED', `${place} is not the service that invites: expected a root key ${expected}`)
}

const patienceMs = 10_000
