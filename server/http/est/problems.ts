import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { answerProblem, asCoded } from '../problems.js'
import { challenge } from './basic.js'

/** A refusal as everywhere here, with what HTTP Basic and EST want to hear of it in headers. */
export function answerEstProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  if (asCoded(error).code === 'TOKEN_REQUIRED') void reply.header('www-authenticate', challenge)
  // The rest of a body that was refused unread is not waited for.
  if (!request.raw.complete) void reply.header('connection', 'close')
  answerProblem(error, request, reply)
}
