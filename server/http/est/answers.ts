import type { FastifyReply } from 'fastify'
import { encodeBase64Lines, encodeCertsOnly, encodeCsrAttributes } from '#x509'

/** The types of our answers. */
export const estTypes = { certificates: 'application/pkcs7-mime', attributes: 'application/csrattrs' } as const

/** RFC 7030 §4.1.3 and §4.2.3. */
export function sendCertificates(reply: FastifyReply, certificates: readonly Uint8Array[]): FastifyReply {
  return sendDer(reply, `${estTypes.certificates}; smime-type=certs-only`, encodeCertsOnly(certificates))
}

/** RFC 7030 §4.5.2 */
export function sendAttributes(reply: FastifyReply): FastifyReply {
  return sendDer(reply, estTypes.attributes, encodeCsrAttributes())
}

/** Base64, and no header says so (RFC 8951 §3). */
function sendDer(reply: FastifyReply, type: string, der: Uint8Array): FastifyReply {
  return reply.type(type).send(encodeBase64Lines(der))
}
