import type { Decision } from '#protocol'
import { renderPolicy } from './deciding/render.js'
import type { PolicyTest, TopicPolicy } from './policy.js'

/** What became of one test. */
export interface TestCase {
  readonly at: string
  /** The question and the expected answer. */
  readonly name: string
  /** What came instead. */
  readonly problem?: string
}

export interface TestReport {
  readonly passed: number
  readonly failed: readonly { readonly at: string; readonly problem: string }[]
  /** All of them, in the order of the file. */
  readonly cases: readonly TestCase[]
}

/** Asks a policy the questions of its own `tests`. A policy with a failing one must not be activated. */
export function runPolicyTests(policy: TopicPolicy): TestReport {
  const cases = policy.tests.map((test): TestCase => {
    const decision = renderPolicy(policy, test.as, test.circumstances).judge(test.question)
    const problem = problemOf(test, decision)
    return { at: test.at, name: nameOf(test), ...(problem !== undefined && { problem }) }
  })
  const failed = cases.flatMap(({ at, problem }) => (problem === undefined ? [] : [{ at, problem }]))
  return { passed: cases.length - failed.length, failed, cases }
}

function nameOf({ as, question, expect, by, reason }: PolicyTest): string {
  const because = by !== undefined ? ` by ${by}` : reason !== undefined ? ` because of ${reason}` : ''
  return `${as.id} ${question.action} ${subjectOf(question)}: ${expect}${because}`
}

function subjectOf(question: PolicyTest['question']): string {
  switch (question.action) {
    case 'subscribe':
      return question.filter
    case 'discover':
      return `${question.offer.service} (${question.offer.protocol})`
    case 'publish':
    case 'will':
    case 'receive':
      return question.topic
  }
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
