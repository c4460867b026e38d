import type { Decision } from '#protocol'
import type { PolicyTest, TopicPolicy } from './policy.js'
import { renderPolicy } from './render.js'

export interface TestReport {
  readonly passed: number
  readonly failed: readonly { readonly at: string; readonly problem: string }[]
}

/** Asks a policy the questions of its own `tests`. A policy with a failing one must not be activated. */
export function runPolicyTests(policy: TopicPolicy): TestReport {
  const failed = policy.tests.flatMap((test) => {
    const { decision } = renderPolicy(policy, test.as, test.circumstances).explain(test.question)
    const problem = problemOf(test, decision)
    return problem === undefined ? [] : [{ at: test.at, problem }]
  })
  return { passed: policy.tests.length - failed.length, failed }
}

function problemOf({ expect, by, reason }: PolicyTest, decision: Decision): string | undefined {
  if (decision.effect !== expect) return `expected ${expect}, got ${describe(decision)}`
  if (by !== undefined && !decision.rules.some((rule) => rule === by || rule.endsWith(`/${by}`))) {
    return `expected ${expect} by ${by}, got ${describe(decision)}`
  }
  if (reason !== undefined && (decision.effect === 'allow' || decision.reason !== reason)) {
    return `expected ${expect} because of ${reason}, got ${describe(decision)}`
  }
  return undefined
}

function describe(decision: Decision): string {
  const by = decision.rules.length > 0 ? ` by ${decision.rules.join(', ')}` : ''
  return decision.effect === 'allow' ? `allow${by}` : `deny (${decision.reason})${by}`
}
