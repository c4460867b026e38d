import { encodeWorkLine, routes, type WorkProgress } from '#protocol'
import { shadowPolicy } from '../policy-shadow.js'
import { suggestFromLog } from '../policy-suggestion.js'
import { type App, at, bodyLimits } from './app.js'
import { begun, leavingOf, sendLines, whileAllowed } from './line-answers.js'
import { policySource } from './schemas/policies.js'
import { shadowQuery, suggestionQuery } from './schemas/policy-study.js'
import type { Service } from './service.js'

const tags = ['policy']
const workDescription =
  'Lines of JSON: {"progress":{"done":…,"total":…}} now and then, and {"answer":…} as the last one; {"problem":…} ' +
  '(RFC 9457) in its place where there is none. To close the connection ends the work.'

/** By default, how many decisions of the log a policy is held against. */
const defaultDecisions = 10_000
/** And how far back one is sought that allows no more than was needed. */
const defaultDays = 30

/** What can be learnt of a policy from what has happened. Nothing here changes anything. */
export function addPolicyStudyRoutes(app: App, service: Service): void {
  const { auditReads, operators, now } = service

  app.route({
    ...at(routes.shadowPolicy),
    bodyLimit: bodyLimits.policy,
    schema: {
      tags,
      summary: 'Who would gain and who would lose if this policy were in force; the body is its YAML',
      description: workDescription,
      consumes: ['application/yaml'],
      produces: ['application/x-ndjson'],
      querystring: shadowQuery,
      body: policySource,
    },
    handler: async (request, reply) => {
      const { file = 'policy.yaml', decisions = String(defaultDecisions) } = request.query
      const by = operators.of(request)
      auditReads.add({ of: 'decisions', last: Number(decisions) }, by)
      const leaving = leavingOf(reply)
      const study = service.studyPolicy({ operator: by.operator, leaving })
      const work = shadowPolicy(study, { source: request.body, file, decisions: Number(decisions) })
      const lines = whileAllowed(linesOf(work), () => operators.requireStill(request))
      return sendLines(request, reply, await begun(lines), leaving)
    },
  })

  app.route({
    ...at(routes.suggestPolicy),
    schema: {
      tags,
      summary: 'The least of the policy in force that still allows what devices did; a proposal, with what it rests on',
      description: workDescription,
      produces: ['application/x-ndjson'],
      querystring: suggestionQuery,
    },
    handler: async (request, reply) => {
      const { role, days = String(defaultDays) } = request.query
      // The answer holds the policy.
      const requireReader = (): void => operators.mandateOf(request, 'policy.read').requireEveryDevice()
      requireReader()
      const by = operators.of(request)
      const since = now() - Number(days) * 86_400_000
      auditReads.add({ of: 'records', search: { query: { since }, follow: false } }, by)
      const leaving = leavingOf(reply)
      const work = suggestFromLog(service.studyPolicy({ operator: by.operator, leaving }), { role, days: Number(days) })
      const lines = whileAllowed(linesOf(work), () => {
        operators.requireStill(request)
        requireReader()
      })
      return sendLines(request, reply, await begun(lines), leaving)
    },
  })
}

async function* linesOf<Answer>(work: AsyncGenerator<WorkProgress, Answer>): AsyncGenerator<string, void> {
  for (;;) {
    const step = await work.next()
    yield step.done === true ? encodeWorkLine({ answer: step.value }) : encodeWorkLine({ progress: step.value })
    if (step.done === true) return
  }
}
