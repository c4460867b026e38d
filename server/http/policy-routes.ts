import { Type } from 'typebox'
import { policySchema } from '#policy'
import { routes } from '#protocol'
import { type App, at, bodyLimits } from './app.js'
import {
  applyPolicyAnswer,
  applyPolicyQuery,
  explainRequest,
  explanation,
  policySource,
  policyView,
} from './schemas/policies.js'
import type { Service } from './service.js'

const tags = ['policy']

export function addPolicyRoutes(app: App, { policy, operators }: Service): void {
  app.route({
    ...at(routes.getPolicy),
    schema: { tags, summary: 'The policy in force', response: { 200: policyView } },
    handler: async () => policy.view,
  })

  // Policies are kept as they were written, comments and all, so the body is text whatever it holds.
  app.addContentTypeParser(['application/yaml', 'text/plain'], { parseAs: 'string' }, (_request, body, done) => {
    done(null, body)
  })

  app.route({
    ...at(routes.applyPolicy),
    bodyLimit: bodyLimits.policy,
    schema: {
      tags,
      summary: 'Put a policy in force, at once and for live sessions too; the body is its YAML',
      consumes: ['application/yaml'],
      querystring: applyPolicyQuery,
      body: policySource,
      response: { 200: applyPolicyAnswer },
    },
    handler: async (request) => {
      const { file = 'policy.yaml', dryRun } = request.query
      const by = operators.of(request, request.query)
      return policy.apply(request.body, { file, dryRun: dryRun === 'true', by })
    },
  })

  app.route({
    ...at(routes.getPolicySchema),
    schema: { tags, summary: 'JSON Schema of a policy file', response: { 200: Type.Object({}) } },
    handler: async (_request, reply) => reply.type('application/schema+json').send(policySchema),
  })

  app.route({
    ...at(routes.explainPolicy),
    schema: {
      tags,
      summary: 'Whether a device may do something, and why; decided by the code that enforces',
      body: explainRequest,
      response: { 200: explanation },
    },
    handler: async (request) => policy.explain(request.body, operators.reachOf(request, 'devices.read')),
  })
}
