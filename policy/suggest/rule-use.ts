import type { TopicAction } from '#protocol'
import type { Levels } from '../matching/containment.js'
import type { AllowRule, Qos } from '../policy.js'
import { TopicTree } from './topic-tree.js'

/** What devices did by one rule. */
export class RuleUse {
  readonly rule: AllowRule
  readonly actions = new Set<TopicAction>()
  readonly topics = new TopicTree()
  count = 0
  /** As the log has it. */
  lastAt: string | undefined
  /** Of messages and subscriptions. */
  maxQos: Qos = 0
  retained = false
  /** Its topics stay as they are: what was seen does not say what else may come by it. */
  staysWide = false

  constructor(rule: AllowRule) {
    this.rule = rule
  }

  add(action: TopicAction, { levels, count, at }: Seen): void {
    this.actions.add(action)
    this.count += count
    if (at !== undefined && (this.lastAt === undefined || at > this.lastAt)) this.lastAt = at
    if (levels) this.topics.add(levels)
    else this.staysWide = true
  }

  demand({ qos, retain = false }: { readonly qos: Qos; readonly retain?: boolean }): void {
    if (qos > this.maxQos) this.maxQos = qos
    this.retained ||= retain
  }
}

interface Seen {
  /** As they could stand in the file; undefined where no single topic of the rule has it. */
  readonly levels: Levels | undefined
  readonly count: number
  /** Undefined for what is so now. */
  readonly at: string | undefined
}
