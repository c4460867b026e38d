import { parseProfileName, routes, type TokenId, type TokenView } from '#protocol'
import { bindingOf } from '#registry'
import { ServerError } from '../errors.js'
import { type App, at } from './app.js'
import { labelsOfToken } from './belongings.js'
import { actQuery } from './schemas/fields.js'
import { createTokenAnswer, createTokenRequest, tokenList, tokenParams, tokenView } from './schemas/tokens.js'
import type { Service } from './service.js'
import { viewToken } from './views.js'

const tags = ['tokens']
const defaults = { profile: parseProfileName('default'), uses: 1, ttlSeconds: 3600 } as const

export function addTokenRoutes(app: App, service: Service): void {
  const { registry, operators, now } = service

  app.route({
    ...at(routes.listTokens),
    schema: { tags, summary: 'Every join token', response: { 200: tokenList } },
    handler: async (request) => {
      const mandate = operators.mandateOf(request)
      const theirs = registry.tokens().filter((token) => mandate.includesAll(labelsOfToken(token, registry)))
      return theirs.map((token) => viewToken(token, now()))
    },
  })

  app.route({
    ...at(routes.createToken),
    schema: {
      tags,
      summary: 'Make a join token; it is shown here once',
      body: createTokenRequest,
      response: { 201: createTokenAnswer },
    },
    handler: async (request, reply) => {
      const by = operators.of(request, request.body)
      const { profile = defaults.profile, uses = defaults.uses, ttlSeconds = defaults.ttlSeconds } = request.body
      const { device, labels = {} } = request.body
      const belongsTo = labelsOfToken({ labels, ...(device !== undefined && { device }) }, registry)
      const mandate = operators.mandateOf(request)
      if (device !== undefined) mandate.requireName(device)
      mandate.requireAll(belongsTo, uses)
      const { id, secretHash, token } = service.createJoinToken()
      const notAfter = now() + ttlSeconds * 1000
      const terms = { profile, labels, uses, notAfter, ...bindingOf(request.body) }
      const made = { token: id, secretHash, ...terms, ...(device !== undefined && { device }) }
      await registry.createToken(made, by)
      return reply.code(201).send({ ...view(id), token, joinUri: service.joinUri(profile) })
    },
  })

  app.route({
    ...at(routes.revokeToken),
    schema: {
      tags,
      summary: 'Make a token useless',
      params: tokenParams,
      querystring: actQuery,
      response: { 200: tokenView },
    },
    handler: async (request) => {
      const belongsTo = labelsOfToken(registry.token(request.params.id), registry)
      operators.mandateOf(request).requireAll(belongsTo)
      await registry.revokeToken(request.params.id, operators.of(request, request.query))
      return view(request.params.id)
    },
  })

  function view(id: TokenId): TokenView {
    const token = registry.token(id)
    if (token === undefined) throw new ServerError('NOT_FOUND', `there is no token ${id}`)
    return viewToken(token, now())
  }
}
