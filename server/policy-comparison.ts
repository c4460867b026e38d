import { setImmediate as nextTurn } from 'node:timers/promises'
import type { DiffPolicyRequest, PolicyDiff } from '#protocol'
import { AffectedDevices, type DeviceAttributes, diffPolicies, policyHash, type TopicPolicy } from '#policy'
import { ServerError } from './errors.js'
import type { PolicyInForce } from './policy-in-force.js'

/** After so many devices others have their turn: a fleet is compared in a second, and nobody waits for it. */
const devicesInOneTurn = 500

/**
 * Who gains what and who loses what from one policy to another, and how many of these devices that is.
 * @throws PolicyError; ServerError NOT_FOUND, REQUEST_INVALID
 */
export async function comparePolicies(
  request: DiffPolicyRequest,
  policy: PolicyInForce,
  devices: Iterable<DeviceAttributes>,
): Promise<PolicyDiff> {
  const from = await readVersion(policy, request.from)
  const to = await readNewer(policy, request)
  const affected = new AffectedDevices(from, to)
  let looked = 0
  for (const device of devices) {
    affected.add(device)
    if (++looked % devicesInOneTurn === 0) await nextTurn()
  }
  return { from: nameOf(from), to: nameOf(to), changes: diffPolicies(from, to), devices: affected.view }
}

async function readNewer(policy: PolicyInForce, { to, source, file = 'policy.yaml' }: DiffPolicyRequest) {
  if (source === undefined) return readVersion(policy, to)
  if (to !== undefined)
    throw new ServerError('REQUEST_INVALID', 'expected a version in `to` or a policy in `source`, got both')
  return policy.read(source, file)
}

async function readVersion(policy: PolicyInForce, version = policy.view.version): Promise<TopicPolicy> {
  const { source } = await policy.versionOf(version)
  return policy.read(source, `version-${version}.yaml`)
}

function nameOf(policy: TopicPolicy): PolicyDiff['from'] {
  return { version: policy.version, hash: policyHash(policy) }
}
