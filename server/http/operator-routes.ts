import type { IssuedOperator } from '#ca'
import {
  actNames,
  type CertificateOfOperator,
  CodedError,
  decodeBase64url,
  type OperatorCertificateAnswer,
  type OperatorName,
  type OperatorView,
  routes,
} from '#protocol'
import { ServerError } from '../errors.js'
import { type App, at, peerOf } from './app.js'
import { bearerOf } from './bearer.js'
import {
  inviteOperatorAnswer,
  inviteOperatorRequest,
  operatorCertificateAnswer,
  operatorCsrRequest,
  operatorList,
  operatorParams,
  ownView,
  revokeOperatorAnswer,
  revokeOperatorRequest,
} from './schemas/operators.js'
import type { Service } from './service.js'
import { isoTime } from './views.js'

const tags = ['operators']

/** Who works here, and what everybody may ask about himself. */
export function addOperatorRoutes(app: App, service: Service): void {
  const { operators, people, registry } = service

  app.route({
    ...at(routes.listOperators),
    schema: { tags, summary: 'Who may come in now, and who is invited', response: { 200: operatorList } },
    handler: async () => {
      const names = [
        ...registry.operators.certificates().map(({ operator }) => operator),
        ...registry.operators.invitations().map(({ whom }) => whom),
      ]
      return [...new Set(names)].toSorted().map(view)
    },
  })

  app.route({
    ...at(routes.ownOperator),
    schema: { tags, summary: 'Who you are here, and what you may do', response: { 200: ownView } },
    handler: async (request) => {
      const { operator, fingerprint } = operators.of(request)
      const certificate = fingerprint && registry.operators.certificate(fingerprint)
      if (!certificate) throw new ServerError('OPERATOR_NOT_ADMITTED', 'this client certificate admits no operator')
      const rules = operators.rightsOf(operator).grants.map(({ id, acts, labels, maxDevices }) => {
        return { id, acts: [...acts], labels, ...(maxDevices !== Infinity && { maxDevices }) }
      })
      return { operator, fingerprint: certificate.fingerprint, notAfter: isoTime(certificate.notAfter), rules }
    },
  })

  app.route({
    ...at(routes.inviteOperator),
    schema: {
      tags,
      summary: 'Invite a person to be an operator, or to be one again; the invitation is shown here once',
      body: inviteOperatorRequest,
      response: { 201: inviteOperatorAnswer },
    },
    handler: async (request, reply) => {
      const by = operators.of(request, request.body)
      const { operator: whom } = request.body
      if (!people.mayInvite(by.operator, whom)) {
        throw operators.mandateOf(request).refusal(`for ${whom}, who may do more`)
      }
      return reply.code(201).send(await people.invite(request.body, by))
    },
  })

  app.route({
    ...at(routes.renewOperator),
    schema: {
      tags,
      summary: 'The next certificate for the present one',
      body: operatorCsrRequest,
      response: { 201: operatorCertificateAnswer },
    },
    handler: async (request, reply) => {
      const { fingerprint, peer } = operators.of(request)
      if (fingerprint === undefined) throw new ServerError('OPERATOR_UNKNOWN', 'no certificate was shown')
      try {
        const issued = await people.renew(fingerprint, decodeBase64url(request.body.csr), peer)
        return await reply.code(201).send(answerOf(issued, service.rootPem()))
      } catch (error) {
        if (error instanceof ServerError) operators.noteRefused(request, error.code.toLowerCase())
        throw error
      }
    },
  })

  app.route({
    ...at(routes.revokeOperator),
    schema: {
      tags,
      summary:
        'End all certificates of an operator and what invites him or others by him, or one certificate by its fingerprint',
      params: operatorParams,
      body: revokeOperatorRequest,
      response: { 200: revokeOperatorAnswer },
    },
    handler: async (request) => people.revoke(request.params.id, operators.of(request, request.body)),
  })

  function view(operator: OperatorName): OperatorView {
    const rights = operators.rightsOf(operator)
    const certificates = registry.operators.certificates().filter((known) => known.operator === operator)
    const invitations = registry.operators.invitations().filter(({ whom }) => whom === operator)
    return {
      operator,
      acts: actNames.filter((act) => rights.may(act)),
      certificates: certificates.map(viewCertificate),
      invitations: invitations.map(({ id, by, notAfter }) => ({ id, by, notAfter: isoTime(notAfter) })),
    }
  }
}

/** How a person who was invited comes in; open to strangers, who learn nothing of what would have been right. */
export function addOperatorJoinRoute(app: App, { people, operators, rootPem }: Service): void {
  app.route({
    ...at(routes.joinOperator),
    schema: {
      tags,
      summary: 'A first certificate for an invitation (Authorization: Bearer tm1.…)',
      body: operatorCsrRequest,
      response: { 201: operatorCertificateAnswer },
    },
    handler: async (request, reply) => {
      try {
        const csr = decodeBase64url(request.body.csr)
        const issued = await people.join(bearerOf(request), csr, peerOf(request).address)
        return await reply.code(201).send(answerOf(issued, rootPem()))
      } catch (error) {
        if (!(error instanceof CodedError) || !isRefusal(error.code)) throw error
        operators.noteStranger(request, error.code.toLowerCase())
        const problem = 'this invitation does not exist, was used, or is over; ask for another'
        throw new ServerError('INVITATION_REFUSED', problem)
      }
    },
  })
}

function isRefusal(code: string): boolean {
  return code.startsWith('INVITATION_') || code.startsWith('TOKEN_')
}

function answerOf({ name, certificatePem, notAfter }: IssuedOperator, ca: string): OperatorCertificateAnswer {
  return { operator: name, certificate: certificatePem, ca, notAfter: notAfter.toISOString() }
}

function viewCertificate({ fingerprint, serial, notBefore, notAfter }: CertificateOfOperator) {
  return { fingerprint, serial, notBefore: isoTime(notBefore), notAfter: isoTime(notAfter) }
}
