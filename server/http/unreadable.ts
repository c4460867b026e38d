import type { FastifyError, FastifyRequest } from 'fastify'
import { ProtocolError } from '#protocol'
import { ServerError } from '../errors.js'
import { peerOf } from './app.js'
import { asCoded } from './problems.js'
import type { Enrollment } from './service.js'

type JoinMethod = Parameters<Enrollment['turnAway']>[0]

/** What cannot even be read never comes to enrollment, which writes down all that it refuses itself. */
export function noteUnreadable(
  enrollment: Pick<Enrollment, 'turnAway'>,
  method: JoinMethod,
  error: FastifyError,
  request: FastifyRequest,
): void {
  const coded = asCoded(error)
  const isOurs = coded instanceof ProtocolError || (coded instanceof ServerError && coded.code !== 'INTERNAL')
  if (isOurs) enrollment.turnAway(method, coded.code, { peer: peerOf(request).address })
}
