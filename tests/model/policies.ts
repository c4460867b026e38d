/* Random policies, as JSON, over so few words that rules, topics and attributes meet again and again. */

export type Random = (below: number) => number

export const deviceNames = ['d1', 'd2', 'd3', 'd4'] as const
/** Of topics, labels and device ids alike, so that a variable may stand for any of them. */
export const words = ['a', 'b', 'd1', 'd2'] as const
/** Where clients connect from. */
export const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const
export const networks = ['127.0.0.0/8', '127.0.0.2/31', '127.0.0.2/32', '10.0.0.0/8'] as const
/** How a device can have proved its key; a renewal makes the second of the first. */
export const modelTiers = ['tpm+pcr', 'tpm'] as const
export const roleNames = ['r1', 'r2', 'r3'] as const
const actions = ['publish', 'will', 'subscribe', 'receive'] as const

export type Action = (typeof actions)[number]
export type ModelTier = (typeof modelTiers)[number]

export interface ModelRule {
  readonly id: string
  readonly actions: readonly Action[]
  readonly topics: readonly string[]
  readonly qos?: { readonly max: number }
  readonly retain?: boolean
  readonly payload?: { readonly maxBytes: number }
  /** `per` in whole seconds, as `10s`. */
  readonly rate?: { readonly messages: number; readonly per: string; readonly burst: number }
  readonly respond?: { readonly within: string }
}

export interface ModelBinding {
  readonly role: string
  readonly match: {
    readonly tier?: string | readonly string[]
    readonly ids?: readonly string[]
    readonly labels?: ModelLabels
  }
  readonly when?: ModelConditions
}

export interface ModelConditions {
  readonly cidr?: string
  readonly notBefore?: string
  readonly notAfter?: string
}

export type ModelLabels = Readonly<Record<string, string>>

/** What the reference reads, and what is applied. */
export interface ModelPolicy {
  readonly onOverlap: 'filter' | 'reject'
  readonly roles: Readonly<
    Record<string, { readonly allow: readonly ModelRule[]; readonly deny?: readonly ModelRule[] }>
  >
  readonly bindings: readonly ModelBinding[]
  readonly quarantine?: { readonly role: string }
}

/** `now`: its time limits lie around it. */
export function randomPolicy(random: Random, version: number, now: number): ModelPolicy {
  const policy = {
    apiVersion: 'touchmark/v1',
    kind: 'TopicPolicy',
    metadata: { name: 'model', version },
    onDenyPublish: random(10) === 0 ? 'disconnect' : 'drop',
    onOverlap: random(6) === 0 ? 'reject' : 'filter',
    roles: {
      r1: randomRole(random, hearing, [hearsAll, endsAnyhow]),
      r2: randomRole(random, speakingOrHearing, [asksAll]),
      r3: randomRole(random, speakingOrHearing, []),
    },
    bindings: [
      { role: 'r1', match: { tier: modelTiers } },
      { role: 'r2', match: { ids: [pick(deviceNames, random)] } },
      ...Array.from({ length: 1 + random(3) }, () => randomBinding(random, now)),
    ],
    ...(random(3) > 0 && { quarantine: { role: pick(roleNames, random) } }),
  } as const
  return policy
}

export function pick<T>(from: readonly [T, ...T[]] | readonly T[], random: Random): T {
  const [picked] = from.slice(random(from.length))
  if (picked === undefined) throw new Error('nothing to pick from')
  return picked
}

export function randomLabels(random: Random): ModelLabels {
  return {
    ...(random(8) > 0 && { site: pick(words, random) }),
    ...(random(3) > 0 && { kind: pick(['x', 'y'], random) }),
  }
}

export function randomTopic(random: Random): string {
  return Array.from({ length: 1 + random(3) }, () => pick(words, random)).join('/')
}

export function randomFilter(random: Random): string {
  const filter = `${Array.from({ length: 1 + random(2) }, () => pick([...words, '+', '+'], random)).join('/')}${pick(['', '/+', '/#'], random)}`
  const kind = random(6)
  if (kind < 2) return '#'
  if (kind === 2) return `$share/g/${filter}`
  return filter
}

function randomBinding(random: Random, now: number): ModelBinding {
  const labels = pick([{ kind: 'x' }, { kind: 'y' }, { site: 'a' }], random)
  const match = pick([{ labels }, { ids: [pick(deviceNames, random)] }, { tier: pick(modelTiers, random) }], random)
  const when = randomConditions(random, now)
  return { role: pick(roleNames, random), match, ...(when && { when }) }
}

/** None, a network, a time from or until a moment, or all of it. */
function randomConditions(random: Random, now: number): ModelConditions | undefined {
  const kind = random(6)
  if (kind < 2) return undefined
  const from = now + 1000 * (random(120) - 60)
  const notBefore = new Date(from).toISOString()
  const notAfter = new Date(from + 1000 * (1 + random(60))).toISOString()
  return {
    ...((kind === 2 || kind === 5) && { cidr: pick(networks, random) }),
    ...((kind === 3 || kind === 5) && { notBefore }),
    ...(kind > 3 && { notAfter }),
  }
}

/* Rules by which much gets through, so that there is much to be judged: mostly all hear, some ask and others answer. */
const hearsAll: ModelRule = { id: 'all', actions: ['subscribe', 'receive'], topics: ['#', '$share/g/#'] }
const endsAnyhow: ModelRule = { id: 'end', actions: ['will'], topics: ['#'], retain: true }
const asksAll: ModelRule = {
  ...{ id: 'all', actions: ['publish', 'will'], topics: ['#'] },
  ...{ retain: true, respond: { within: '60s' } },
}

const hearing = [['subscribe', 'receive']] as const
const speakingOrHearing = [['publish', 'will'], ['publish'], ...hearing] as const

function randomRole(random: Random, kinds: readonly (readonly Action[])[], mostly: readonly ModelRule[]) {
  const some = Array.from({ length: 1 + random(3) }, (_, at) => randomAllow(random, `a${at}`, pick(kinds, random)))
  const deny = Array.from({ length: random(2) * random(3) }, (_, at) => ({
    id: `d${at}`,
    actions: [pick(actions, random)],
    topics: [randomTemplate(random)],
  }))
  const allow = random(3) > 0 ? [...some, ...mostly] : some
  return { sessions: { max: 1 + random(2) }, allow, ...(deny.length > 0 && { deny }) }
}

function randomAllow(random: Random, id: string, actions: readonly Action[]): ModelRule {
  const speaks = actions.includes('publish')
  const topics = [
    randomTemplate(random),
    random(3) === 0 && !speaks ? '$share/g/#' : pick(['#', randomTemplate(random)], random),
  ]
  return { id, actions, topics, qos: { max: pick([0, 1, 2, 2], random) }, ...(speaks && randomLimits(random)) }
}

function randomLimits(random: Random): Pick<ModelRule, 'retain' | 'payload' | 'rate' | 'respond'> {
  const rate = { messages: 1 + random(3), per: `${1 + random(20)}s`, burst: 1 + random(4) }
  return {
    retain: random(2) === 0,
    payload: { maxBytes: 6 + random(8) },
    ...(random(3) === 0 && { rate }),
    ...(random(2) === 0 && { respond: { within: pick(['5s', '60s'], random) } }),
  }
}

function randomTemplate(random: Random): string {
  const level = () => pick([...words, '${device.id}', '${device.labels.site}', '+', '+'], random)
  return `${Array.from({ length: 1 + random(2) }, level).join('/')}${pick(['', '', '/#'], random)}`
}
