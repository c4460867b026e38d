import type { TopicPolicy } from '#policy'
import type { OperatorName } from '#protocol'
import type { CheckedPolicy } from './checked-policy.js'
import { ServerError } from './errors.js'
import { operatorRightsIn } from './operator-rights.js'
import type { PolicyVersions } from './policy-versions.js'

/*
 * What keeps a policy that has nothing wrong with it from following the one that is in force.
 */

/** Records name a policy by its version, so one version must never mean two policies. @throws ServerError POLICY_VERSION */
export function requireSuccessor(
  { policy: { version }, hash }: CheckedPolicy,
  inForce: CheckedPolicy,
  versions: PolicyVersions,
): void {
  if (hash === inForce.hash) return
  if (version <= inForce.policy.version) {
    const expected = `expected metadata.version above ${inForce.policy.version}, which is in force`
    throw new ServerError('POLICY_VERSION', `${expected}, got ${version}`)
  }
  if (versions.isTaken(version, hash)) {
    throw new ServerError('POLICY_VERSION', `version ${version} was another policy: take ${versions.next}`)
  }
  requireRoom(version, versions)
}

/**
 * Numbers end, and behind the last one no policy could ever be changed: one version takes half of those left at most.
 * @throws ServerError POLICY_VERSION
 */
export function requireRoom(version: number, { next }: Pick<PolicyVersions, 'next'>): void {
  const highest = next + Math.floor((Number.MAX_SAFE_INTEGER - next) / 2)
  if (version <= highest) return
  const problem = `version ${version} leaves too few numbers to the policies after it`
  throw new ServerError('POLICY_VERSION', `${problem}: take ${next}, or at most ${highest}`)
}

/**
 * Nobody shuts himself out, by mistake or talked into it; another who may apply policies can take the right from him.
 * @throws ServerError POLICY_LOCKS_OUT
 */
export function requireNotLockedOut(operator: OperatorName, candidate: TopicPolicy, inForce: TopicPolicy): void {
  const mayApplyBy = (policy: TopicPolicy) => operatorRightsIn(policy, operator).may('policy.apply')
  if (!mayApplyBy(inForce) || mayApplyBy(candidate)) return
  throw new ServerError('POLICY_LOCKS_OUT', `it would take policy.apply from ${operator}, who applies it`)
}
