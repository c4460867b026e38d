import type { FastifyRequest } from 'fastify'
import { ServerError } from '../errors.js'

/** What a stranger shows to be let in. @throws ServerError TOKEN_REQUIRED */
export function bearerOf(request: FastifyRequest): string {
  const [, token] = /^Bearer ([A-Za-z0-9._-]{1,256})$/.exec(request.headers.authorization ?? '') ?? []
  if (token === undefined) throw new ServerError('TOKEN_REQUIRED', 'expected "Authorization: Bearer tm1.…"')
  return token
}
