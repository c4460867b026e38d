import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { EnrollmentError } from '#enrollment'
import { decodeOidcJoinRequest, type OidcJoinAnswer, oidcJoinLimits, routes, sourceOf } from '#protocol'
import { type App, at, peerOf } from './app.js'
import { answerProblem } from './problems.js'
import { RequestShares } from './request-shares.js'
import type { Service } from './service.js'
import { noteUnreadable } from './unreadable.js'

/** Requests that are read or worked on at the same time, since each can hold a megabyte. */
const most = { atOnce: 16, ofSource: 4 } as const

/** For the document only: protocol/oidc-join.ts reads it, and says more exactly what is wrong. */
const body = Type.Unsafe<unknown>({ type: 'object', description: 'See protocol/oidc-join.ts; CSRs are base64url' })

/**
 * How a CI job gets its simulated devices. Before anything of a body is read it is asked whether anybody's jobs are taken
 * here, and whether there is room: whose token it is can be known only when all has come.
 */
export function addOidcRoutes(app: App, { enrollment }: Service): void {
  const shares = new RequestShares(most)

  app.route({
    ...at(routes.joinOidc),
    bodyLimit: oidcJoinLimits.maxRequestBytes,
    validatorCompiler: () => () => true,
    schema: {
      tags: ['enrollment'],
      summary: 'Join up to 1,000 simulated devices of a CI job, with its OIDC token',
      body,
    },
    onRequest: async (request, reply) => {
      if (!enrollment.takesJobs) throw new EnrollmentError('OIDC_ISSUER_UNKNOWN', 'no CI is trusted here')
      if (shares.take(sourceOf(peerOf(request).address), reply.raw)) return
      throw new EnrollmentError('BUSY', 'too many jobs join at the same time', { retryAfterSeconds: 2 })
    },
    errorHandler: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      noteUnreadable(enrollment, 'oidc', error, request)
      answerProblem(error, request, reply)
    },
    handler: async (request, reply) => {
      const decoded = decodeOidcJoinRequest(request.body, '')
      const answer = await enrollment.joinWithOidc(decoded, { peer: peerOf(request).address })
      return reply.code(201).send(encodeAnswer(answer))
    },
  })
}

function encodeAnswer(answer: OidcJoinAnswer) {
  const { renewal, serverTime } = answer
  return {
    ...answer,
    renewal: { start: renewal.start.toISOString(), end: renewal.end.toISOString() },
    serverTime: serverTime.toISOString(),
  }
}
