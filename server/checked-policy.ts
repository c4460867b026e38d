import type { ApplyPolicyAnswer, Fingerprint } from '#protocol'
import { policyHash, runPolicyTests, type TopicPolicy } from '#policy'
import { ServerError } from './errors.js'
import type { PolicyReader } from './policy-reader.js'

/** What the present text of a policy is called in messages, whatever file it came from. */
export const fileInForce = 'policy.yaml'

/** A policy that was read and has passed its own tests. Made here only, so nothing else can come into force. */
export interface CheckedPolicy {
  readonly policy: TopicPolicy
  readonly hash: Fingerprint
  readonly source: string
}

/** Reads a policy and asks it its own tests. @throws PolicyError; ServerError POLICY_TESTS_FAILED */
export async function checkPolicy(reader: PolicyReader, source: string, file: string): Promise<CheckedPolicy> {
  const policy = await reader.parse(source, file)
  const { failed } = runPolicyTests(policy)
  if (failed.length > 0) {
    const list = failed.map(({ at, problem }) => `${at}: ${problem}`).join('\n')
    throw new ServerError('POLICY_TESTS_FAILED', `${failed.length} of its own tests failed:\n${list}`)
  }
  return { policy, hash: policyHash(policy), source }
}

/**
 * What an earlier version said, under another number.
 * @throws PolicyError for what this release can no longer read; ServerError POLICY_TESTS_FAILED, and POLICY_VERSION where
 * the policy in force says the same
 */
export async function restorePolicy(
  reader: PolicyReader,
  earlier: { readonly version: number; readonly source: string },
  { version, inForce }: { readonly version: number; readonly inForce: CheckedPolicy },
): Promise<CheckedPolicy> {
  const { source } = earlier
  const asNow = await reader.renumber(source, fileInForce, inForce.policy.version)
  if (policyHash(await reader.parse(asNow, fileInForce)) === inForce.hash) {
    throw new ServerError('POLICY_VERSION', `what version ${earlier.version} says is in force already`)
  }
  return checkPolicy(reader, await reader.renumber(source, fileInForce, version), fileInForce)
}

export function answerOf({ policy, hash }: CheckedPolicy, dryRun: boolean, sessions: number): ApplyPolicyAnswer {
  return { version: policy.version, hash, tests: { passed: policy.tests.length }, dryRun, sessions }
}
