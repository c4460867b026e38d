import type { DenyReason, DeviceId, Labels, OfferedService, Tier, TopicAction, TopicFilter, TopicName } from '#protocol'
import type { Circumstances, Conditions } from './conditions/conditions.js'
import type { OperatorPolicy } from './operators/operator-policy.js'

/*
 * A policy file after it was read and checked, still independent of any device. `parsePolicy` makes it,
 * `renderPolicy` turns it into the rights of one device.
 */

/** Over any of them the file is refused, never cut. Depth and size of a filter are `topicLimits` of the protocol. */
export const policyLimits = { maxBytes: 256 * 1024, rulesPerRole: 64, rolesPerDevice: 16 } as const

export interface TopicPolicy {
  readonly name: string
  /** Named by every decision and audit record. */
  readonly version: number
  /** MQTT 3.1.1 cannot refuse a PUBLISH: end the session, or acknowledge and deliver to nobody. */
  readonly onDenyPublish: 'disconnect' | 'drop'
  /** A subscription that reaches into a deny: grant it and withhold what is denied at delivery, or refuse it. */
  readonly onOverlap: 'filter' | 'reject'
  readonly roles: ReadonlyMap<string, Role>
  readonly bindings: readonly Binding[]
  /** Absent where nobody but the one who holds the installation may do anything. */
  readonly operators?: OperatorPolicy
  /** The only role of a device in quarantine, whatever is bound to it; without one, nobody can be put there. */
  readonly quarantineRole?: string
  readonly tests: readonly PolicyTest[]
  /** The file as plain JSON; what `policyHash` is computed over. */
  readonly content: Json
}

export interface Role {
  readonly name: string
  /** How many sessions at once: client id = device id, or `id~suffix` where this is above 1. */
  readonly maxSessions: number
  /** Both lists in the order of their ids, whatever the order in the file. */
  readonly allow: readonly AllowRule[]
  readonly deny: readonly Rule[]
  /** In the same order. */
  readonly discover: readonly DiscoverRule[]
}

export interface Rule {
  /** `role/rule`, as decisions name it. */
  readonly id: string
  /** `file:line:column`. */
  readonly at: string
  readonly actions: readonly TopicAction[]
  readonly topics: readonly TopicTemplate[]
}

/** A topic filter of the file, level by level: text as it stands, or a variable that stands for one whole level. */
export type TopicTemplate = readonly (string | Variable)[]
export type Variable = { readonly device: 'id' } | { readonly device: 'labels'; readonly label: string }

/** An allow decides only where all its constraints hold; what is over one of them is refused, never lowered. */
export interface AllowRule extends Rule {
  /** Default 2. */
  readonly maxQos: Qos
  /** Default false; clearing a retained message needs it too. */
  readonly retain: boolean
  /** Default Infinity: the listener's packet limit holds. */
  readonly maxPayloadBytes: number
  readonly rate?: Rate
  /** Whoever is given a message that it allows may answer once, within this time (MQTT 5.0 §4.10). */
  readonly answerMs?: number
}

/** Lets a device see services that others offer. All that is said has to fit; something always is. */
export interface DiscoverRule {
  /** `role/rule`, in one set with those for topics. */
  readonly id: string
  /** `file:line:column`. */
  readonly at: string
  /** What the device that offers it must have, which operators gave; a variable stands for what the one who looks has. */
  readonly labels: Readonly<Record<string, string | Variable>>
  /** One of these names, or with a last `*` the beginning of one; default: any. As `protocols`. */
  readonly services?: readonly string[]
  readonly protocols?: readonly string[]
}

/** A service as far as a policy looks at it. */
export type Offer = Pick<OfferedService, 'labels' | 'service' | 'protocol'>

export type Qos = 0 | 1 | 2

/** A token bucket: `messages` flow in every `perMs`, at most `burst` are kept. */
export interface Rate {
  readonly messages: number
  readonly perMs: number
  readonly burst: number
}

/** Gives a role to every device that is as described; something is always said of it. */
export interface Binding {
  /** `file:line:column`. */
  readonly at: string
  readonly role: string
  readonly tiers?: readonly Tier[]
  readonly labels?: Labels
  readonly ids?: readonly DeviceId[]
  /** Where from and when it has the role; default: everywhere and always. */
  readonly when?: Conditions
}

/** What a policy may know about a device. Nothing of it ever comes from CONNECT. */
export interface DeviceAttributes {
  readonly id: DeviceId
  readonly tier: Tier
  readonly labels: Labels
  /** A lock has taken its roles from it. Default: false */
  readonly quarantined?: boolean
}

export interface PolicyTest {
  readonly at: string
  readonly as: DeviceAttributes
  readonly circumstances: Circumstances
  readonly question: Question | Discovering
  readonly expect: 'allow' | 'deny'
  /** `role/rule` or `rule` that must be among the deciding ones. */
  readonly by?: string
  readonly reason?: DenyReason
}

/** A message as far as a policy looks at it. */
export interface Message {
  readonly topic: TopicName
  readonly qos: Qos
  readonly retain: boolean
  /** Bytes of payload. */
  readonly size: number
}

export type Question =
  | (Message & { readonly action: 'publish' | 'will' })
  | { readonly action: 'subscribe'; readonly filter: TopicFilter; readonly qos: Qos }
  | { readonly action: 'receive'; readonly topic: TopicName }

/** Whether a device may know of a service. No question about a topic: nothing of it is sent, and no record asks it again. */
export type Discovering = { readonly action: 'discover'; readonly offer: Offer }

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }
