import type { FastifyRequest } from 'fastify'
import { channelBindingLabel } from '#protocol'
import { ServerError } from '../errors.js'
import { peerOf } from './app.js'
import { connectedAt } from './connected-at.js'
import type { Channel } from './service.js'

const exporterBytes = 32

/** What ties the request to its connection; both ends export the same bytes (RFC 9266 §4.2). */
export function channelOf(request: FastifyRequest): Channel {
  const { socket, address } = peerOf(request)
  const exporter = socket.exportKeyingMaterial(exporterBytes, channelBindingLabel, Buffer.alloc(0))
  const since = connectedAt(socket)
  return { peer: address, exporter, ...(since !== undefined && { since }) }
}

/** DER, as the device has shown it in the handshake. @throws ServerError DEVICE_CERTIFICATE_REQUIRED */
export function requireCertificate(request: FastifyRequest): Uint8Array {
  const { der } = peerOf(request)
  if (der !== undefined) return der
  throw new ServerError('DEVICE_CERTIFICATE_REQUIRED', "this needs the device's client certificate, and none came")
}
