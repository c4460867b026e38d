import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { askAgainSeconds } from '#enrollment'
import {
  decodeJoinTermsRequest,
  decodeRenewRequest,
  decodeTokenJoinRequest,
  decodeTpmActivateRequest,
  decodeTpmJoinRequest,
  encodeBase64url,
  type JoinAnswer,
  type JoinNonce,
  type RenewalInfo,
  routes,
  type TpmChallenge,
} from '#protocol'
import { type App, at, bodyLimits } from './app.js'
import { bearerOf } from './bearer.js'
import { channelOf, requireCertificate } from './channel.js'
import { answerProblem } from './problems.js'
import type { Service } from './service.js'
import { noteUnreadable } from './unreadable.js'

const tags = ['enrollment']

const renewalInfoParams = Type.Object({ id: Type.String({ maxLength: 128 }) })

/** For the document only: the decoders of protocol/join.ts read these bodies, and say more exactly what is wrong. */
const body = Type.Unsafe<unknown>({ type: 'object', description: 'See protocol/join.ts; binary fields are base64url' })

/**
 * How a device gets its certificate, and the next one. Open to strangers: every decision is enrollment's, by what the
 * request proves; the client certificate counts at renewal alone.
 */
export function addJoinRoutes(app: App, { enrollment, registry }: Service): void {
  const common = { bodyLimit: bodyLimits.join, validatorCompiler: () => () => true } as const
  const noting = (method: 'token' | 'tpm' | 'renew') => ({
    ...common,
    errorHandler: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      noteUnreadable(enrollment, method, error, request)
      answerProblem(error, request, reply)
    },
  })

  app.route({
    ...common,
    ...at(routes.joinNonce),
    schema: { tags, summary: 'A nonce for clients that cannot export from TLS; one use' },
    handler: async () => encodeNonce(enrollment.createNonce()),
  })

  app.route({
    ...common,
    ...at(routes.joinTerms),
    schema: { tags, summary: 'What a TPM join by a profile is to show beside its keys', body },
    handler: async (request) => enrollment.termsOf(decodeJoinTermsRequest(request.body, '').profile),
  })

  app.route({
    ...noting('token'),
    ...at(routes.joinToken),
    schema: { tags, summary: 'Join with a token (Authorization: Bearer tm1.…)', body },
    handler: async (request, reply) => {
      const decoded = decodeTokenJoinRequest(request.body, '')
      const answer = await enrollment.joinWithToken(bearerOf(request), decoded, channelOf(request))
      return reply.code(201).send(encodeJoinAnswer(answer))
    },
  })

  app.route({
    ...noting('tpm'),
    ...at(routes.joinTpm),
    schema: { tags, summary: 'Join with a TPM: evidence for a challenge', body },
    handler: async (request) =>
      encodeChallenge(await enrollment.beginTpmJoin(decodeTpmJoinRequest(request.body, ''), channelOf(request))),
  })

  app.route({
    ...noting('tpm'),
    ...at(routes.joinTpmActivate),
    schema: { tags, summary: 'Join with a TPM: the activated secret for a certificate', body },
    handler: async (request, reply) => {
      const decoded = decodeTpmActivateRequest(request.body, '')
      return reply.code(201).send(encodeJoinAnswer(await enrollment.activateTpmJoin(decoded, channelOf(request))))
    },
  })

  app.route({
    ...noting('renew'),
    ...at(routes.renew),
    schema: { tags, summary: 'The next certificate, shown the present one as client certificate', body },
    handler: async (request, reply) => {
      const der = requireCertificate(request)
      const decoded = decodeRenewRequest(request.body, '')
      const channel = channelOf(request)
      const answer = await enrollment.renew(der, decoded, channel)
      const { reported } = decoded
      // No device waits for it, and none loses its certificate over it: what could not be recorded it says again.
      if (reported !== undefined)
        registry.recordReport(answer.instanceId, reported, channel.peer).catch(() => undefined)
      return reply.code(201).send(encodeJoinAnswer(answer))
    },
  })

  app.route({
    ...common,
    ...at(routes.renewalInfo),
    schema: {
      tags,
      summary: 'When the certificate that is shown is to be renewed (RFC 9773)',
      params: renewalInfoParams,
    },
    handler: async (request, reply) => {
      const info = await enrollment.renewalInfo(requireCertificate(request), request.params.id, channelOf(request))
      return reply.header('retry-after', String(askAgainSeconds)).send(encodeRenewalInfo(info))
    },
  })
}

function encodeJoinAnswer(answer: JoinAnswer) {
  const { renewal, serverTime } = answer
  return {
    ...answer,
    renewal: { start: renewal.start.toISOString(), end: renewal.end.toISOString() },
    serverTime: serverTime.toISOString(),
  }
}

function encodeRenewalInfo({ suggestedWindow: { start, end } }: RenewalInfo) {
  return { suggestedWindow: { start: start.toISOString(), end: end.toISOString() } }
}

function encodeChallenge({ cookie, credentialBlob, encryptedSecret }: TpmChallenge) {
  return {
    cookie,
    credentialBlob: encodeBase64url(credentialBlob),
    encryptedSecret: encodeBase64url(encryptedSecret),
  }
}

function encodeNonce({ nonce, expires }: JoinNonce) {
  return { nonce: encodeBase64url(nonce), expires: expires.toISOString() }
}
