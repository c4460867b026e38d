import type { FastifyRequest } from 'fastify'
import { ServerError } from '../../errors.js'

/** RFC 7617. One scheme and one header: of two, different readers would take different ones. */
const credentials = /^Basic ([A-Za-z0-9+/]{1,256}={0,2})$/i
/** A token's id as the user and its secret as the password, or nobody as the user and the whole token as the password. */
const parts = /^([A-Za-z0-9_-]{1,64}):([A-Za-z0-9_-]{43})$/
const whole = /^:(tm1\.[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{43})$/

/** What a client without credentials is told to bring (RFC 7030 §3.2.3). */
export const challenge = 'Basic realm="touchmark", charset="UTF-8"'

export function hasCredentials({ headers }: FastifyRequest): boolean {
  return headers.authorization !== undefined
}

/** The join token that came as HTTP Basic, in its own form. @throws ServerError TOKEN_REQUIRED, which repeats none of it */
export function basicTokenOf({ raw }: FastifyRequest): string {
  const [header = '', ...others] = raw.headersDistinct['authorization'] ?? []
  const [, encoded = ''] = credentials.exec(others.length === 0 ? header : '') ?? []
  const said = Buffer.from(encoded, 'base64').toString('latin1')
  const [, id, secret] = parts.exec(said) ?? []
  if (id !== undefined && secret !== undefined) return `tm1.${id}.${secret}`
  const [, token] = whole.exec(said) ?? []
  if (token !== undefined) return token
  throw new ServerError('TOKEN_REQUIRED', "expected HTTP Basic, once: a token's id and secret, or nobody and the token")
}
