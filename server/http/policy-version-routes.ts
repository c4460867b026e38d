import type { DeviceAttributes, Reach } from '#policy'
import { type PolicyVersionView, routes } from '#protocol'
import type { Registry } from '#registry'
import { attributesOf } from '../attributes.js'
import { comparePolicies } from '../policy-comparison.js'
import type { PolicyVersion } from '../policy-versions.js'
import { type App, at, bodyLimits } from './app.js'
import {
  keptPolicy,
  policyVersions,
  rollbackPolicyAnswer,
  rollbackPolicyRequest,
  versionParams,
} from './schemas/policies.js'
import { diffPolicyRequest, policyDiff } from './schemas/policy-diff.js'
import type { Service } from './service.js'
import { isoTime } from './views.js'

const tags = ['policy']

/** The policies that were in force, what lies between them, and the way back to one of them. */
export function addPolicyVersionRoutes(app: App, { policy, operators, registry }: Service): void {
  const viewOf = ({ cameIntoForce: _, since, ...facts }: PolicyVersion): PolicyVersionView => ({
    ...facts,
    inForce: facts.version === policy.view.version,
    ...(since !== undefined && { since: isoTime(since) }),
  })

  app.route({
    ...at(routes.listPolicyVersions),
    schema: { tags, summary: 'Every policy that was in force, newest first', response: { 200: policyVersions } },
    handler: async () => policy.versions.map(viewOf),
  })

  app.route({
    ...at(routes.getPolicyVersion),
    schema: {
      tags,
      summary: 'A policy that was in force, as it was written',
      params: versionParams,
      response: { 200: keptPolicy },
    },
    handler: async (request) => {
      const { facts, source } = await policy.versionOf(Number(request.params.id))
      return { ...viewOf(facts), source }
    },
  })

  app.route({
    ...at(routes.diffPolicy),
    bodyLimit: bodyLimits.diff,
    schema: {
      tags,
      summary: 'Who gains what and who loses what, from one policy to another',
      body: diffPolicyRequest,
      response: { 200: policyDiff },
    },
    handler: async (request) => {
      const seen = operators.reachOf(request, 'devices.read')
      return comparePolicies(request.body, policy, attributesOfAll(registry, seen))
    },
  })

  app.route({
    ...at(routes.rollbackPolicy),
    schema: {
      tags,
      summary: 'Put what an earlier version says in force again, as a version of its own',
      body: rollbackPolicyRequest,
      response: { 200: rollbackPolicyAnswer },
    },
    handler: async (request) => {
      const { version, dryRun = false } = request.body
      return policy.rollback({ version, dryRun, by: operators.of(request, request.body) })
    },
  })
}

/** One by one: there can be very many, and each is looked up when it is its turn. */
function* attributesOfAll(registry: Registry, seen: Reach): Iterable<DeviceAttributes> {
  for (const { id, labels } of registry.devices()) {
    const attributes = seen.includes(labels) ? attributesOf(registry, id) : undefined
    if (attributes) yield attributes
  }
}
