import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { JoinAnswer, ProfileName } from '#protocol'
import { decodePem, peerChainOf } from '#x509'
import { type App, peerOf } from './app.js'
import { channelOf, requireCertificate } from './channel.js'
import { estTypes, sendAttributes, sendCertificates } from './est/answers.js'
import { basicTokenOf, hasCredentials } from './est/basic.js'
import { answerEstProblem } from './est/problems.js'
import { csrOf, profileOf, readCsrsOnly, requireAccepts, requireCsrType } from './est/requests.js'
import type { Service } from './service.js'
import { noteUnreadable } from './unreadable.js'

const tags = ['EST']
const params = Type.Object({ profile: Type.String() })

/**
 * EST (RFC 7030, RFC 8951) as another face of the same joins and renewals, for clients that know no other. The label in the
 * path is the enrollment profile. Simulated and TPM-proven keys join by JSON: there is no place for evidence here.
 */
export function addEstRoutes(app: App, { enrollment, authorities }: Service): void {
  readCsrsOnly(app)

  app.route({
    ...operation('GET', 'cacerts'),
    schema: { tags, summary: 'The CAs of this service (RFC 7030 §4.1)', params },
    handler: async (request, reply) => {
      requireAccepts(request, estTypes.certificates)
      profileOf(request.params.profile, enrollment)
      return sendCertificates(reply, authorities())
    },
  })

  app.route({
    ...operation('GET', 'csrattrs'),
    schema: { tags, summary: 'What a CSR should hold (RFC 7030 §4.5)', params },
    handler: async (request, reply) => {
      requireAccepts(request, estTypes.attributes)
      profileOf(request.params.profile, enrollment)
      return sendAttributes(reply)
    },
  })

  app.route({
    ...enrolling('simpleenroll', 'token'),
    schema: {
      tags,
      summary: 'Join with a token as HTTP Basic, or with the certificate of a manufacturer (RFC 7030 §4.2.1)',
      params,
    },
    handler: async (request, reply) => {
      const { certificate } = await join(request, profileOf(request.params.profile, enrollment))
      return sendCertificates(reply, decodePem(certificate, 'CERTIFICATE'))
    },
  })

  app.route({
    ...enrolling('simplereenroll', 'renew'),
    schema: { tags, summary: 'The next certificate for the one that is shown (RFC 7030 §4.2.2)', params },
    handler: async (request, reply) => {
      profileOf(request.params.profile, enrollment)
      const [der, csr] = [requireCertificate(request), csrOf(request)]
      const { certificate } = await enrollment.renew(der, { csr }, channelOf(request), 'claims')
      return sendCertificates(reply, decodePem(certificate, 'CERTIFICATE'))
    },
  })

  /** A token goes before a certificate: a machine shows what it was made with wherever it is asked, a token on purpose. */
  function join(request: FastifyRequest, profile: ProfileName): Promise<JoinAnswer> {
    const chain = peerChainOf(peerOf(request).socket)
    if (chain.length === 0 || hasCredentials(request)) {
      const [token, csr] = [basicTokenOf(request), csrOf(request)]
      return enrollment.joinWithToken(token, { profile, csr }, channelOf(request), 'claims')
    }
    return enrollment.joinWithIdevid(chain, { profile, csr: csrOf(request) }, channelOf(request), 'claims')
  }

  function enrolling(name: string, method: 'token' | 'renew') {
    return {
      ...operation('POST', name),
      onRequest: async (request: FastifyRequest) => {
        requireCsrType(request)
        requireAccepts(request, estTypes.certificates)
      },
      errorHandler: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
        noteUnreadable(enrollment, method, error, request)
        answerEstProblem(error, request, reply)
      },
    }
  }
}

/** The path's label is judged by who knows the profiles, and a wrong one is not found. */
function operation<Method extends 'GET' | 'POST'>(method: Method, name: string) {
  return {
    method,
    url: `/.well-known/est/:profile/${name}`,
    validatorCompiler: () => () => true,
    errorHandler: answerEstProblem,
  }
}
