import type { FastifyRequest } from 'fastify'
import { decodeBase64, type ProfileName, parseProfileName, ProtocolError } from '#protocol'
import { EnrollmentError } from '#enrollment'
import { ServerError } from '../../errors.js'
import type { App } from '../app.js'
import type { Enrollment } from '../service.js'

/*
 * What EST sends, and the checks that need nothing of a body: they come before it is read.
 */

/** RFC 7030 §4.2.1 */
const csrType = 'application/pkcs10'

/** Nothing else is read here. A length over the bound is refused before a byte is taken. */
export function readCsrsOnly(app: App): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(csrType, { parseAs: 'string' }, async (_: FastifyRequest, body: string) => body)
}

/** @throws ServerError MEDIA_TYPE_UNSUPPORTED */
export function requireCsrType({ headers }: FastifyRequest): void {
  const [type = ''] = (headers['content-type'] ?? '').split(';')
  if (type.trim().toLowerCase() === csrType) return
  throw new ServerError('MEDIA_TYPE_UNSUPPORTED', `expected a body of the type ${csrType}`)
}

/**
 * Base64 of DER, in lines or in one, and whatever Content-Transfer-Encoding says of it (RFC 8951 §3).
 * @throws ProtocolError INVALID_ENCODING, ServerError REQUEST_INVALID
 */
export function csrOf({ body }: FastifyRequest): Uint8Array {
  if (typeof body !== 'string' || body === '') throw new ServerError('REQUEST_INVALID', 'expected a CSR, and none came')
  return decodeBase64(body)
}

/** @throws ServerError NOT_ACCEPTABLE to who takes only what we do not have */
export function requireAccepts({ headers }: FastifyRequest, type: string): void {
  const [family = ''] = type.split('/')
  const ranges = (headers.accept ?? '*/*').split(',').map(readRange)
  if (ranges.some(({ range, isRefused }) => !isRefused && ['*/*', `${family}/*`, type].includes(range))) return
  throw new ServerError('NOT_ACCEPTABLE', `this answers with ${type}`)
}

/** RFC 9110 §12.5.1; which of several is wanted most makes no difference where there is one. */
function readRange(text: string): { readonly range: string; readonly isRefused: boolean } {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  return { range, isRefused: parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) }
}

/** The label in an EST path names an enrollment profile (RFC 7030 §3.2.2). @throws ServerError NOT_FOUND */
export function profileOf(label: string, enrollment: Pick<Enrollment, 'termsOf'>): ProfileName {
  try {
    const profile = parseProfileName(label)
    enrollment.termsOf(profile)
    return profile
  } catch (cause) {
    if (!(cause instanceof ProtocolError || cause instanceof EnrollmentError)) throw cause
    throw new ServerError('NOT_FOUND', 'there is no enrollment profile of this name', { cause })
  }
}
