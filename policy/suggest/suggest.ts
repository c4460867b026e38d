import type { PolicySuggestion, RuleSuggestion } from '#protocol'
import type { TopicPolicy } from '../policy.js'
import { parsePolicy } from '../reading/parse.js'
import { runPolicyTests } from '../self-test.js'
import { editPolicy } from './edit.js'
import { diffLines } from './line-diff.js'
import { isUnchanged, proposeRules, type RuleProposal } from './proposal.js'
import type { PolicyUsage } from './usage.js'

export interface SuggestOptions {
  readonly policy: TopicPolicy
  /** The same as it was written. */
  readonly source: string
  readonly usage: PolicyUsage
  /** Only this role's rules; default: all. */
  readonly role: string | undefined
}

/** The least of a policy that still allows all that was seen. @throws PolicyError */
export function suggestPolicy({
  policy,
  source,
  usage,
  role,
}: SuggestOptions): Pick<PolicySuggestion, 'rules' | 'source' | 'diff' | 'failingTests'> {
  const proposals = proposeRules(policy, usage, (name) => role === undefined || role === name)
  const rules = proposals.map(describe)
  if (rules.every(({ proposal }) => proposal === 'keep')) return { rules, source, diff: '', failingTests: [] }
  const { before, after } = editPolicy(source, policy.version + 1, proposals)
  const { failed } = runPolicyTests(parsePolicy(after, 'proposal.yaml')) // a proposal that is no policy is none
  return {
    ...{ rules, source: after },
    diff: diffLines(before, after, ['policy.yaml', 'proposal.yaml']),
    failingTests: failed.map(({ at, problem }) => `${at}: ${problem}`),
  }
}

function describe({ use, narrowed }: RuleProposal): RuleSuggestion {
  const { rule, count, lastAt } = use
  const isKept = narrowed !== undefined && isUnchanged(rule, narrowed)
  return {
    ...{ rule: rule.id, at: rule.at, count },
    proposal: narrowed === undefined ? 'remove' : isKept ? 'keep' : 'narrow',
    ...(lastAt !== undefined && { lastUsed: lastAt }),
    actions: narrowed?.actions ?? [],
    topics: narrowed?.topics ?? [],
  }
}
