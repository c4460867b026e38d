/* Random policies, as JSON, over so few words that rules, topics and attributes meet again and again. */

export type Random = (below: number) => number

export const deviceNames = ['d1', 'd2', 'd3', 'd4'] as const
/** Of topics, labels and device ids alike, so that a variable may stand for any of them. */
export const words = ['a', 'b', 'd1', 'd2'] as const
const roleNames = ['r1', 'r2', 'r3'] as const
const actions = ['publish', 'will', 'subscribe', 'receive'] as const

export type Action = (typeof actions)[number]

export interface ModelRule {
  readonly id: string
  readonly actions: readonly Action[]
  readonly topics: readonly string[]
  readonly qos?: { readonly max: number }
  readonly retain?: boolean
  readonly payload?: { readonly maxBytes: number }
}

export interface ModelBinding {
  readonly role: string
  readonly match: { readonly tier?: string; readonly ids?: readonly string[]; readonly labels?: ModelLabels }
  readonly when?: { readonly cidr: string }
}

export type ModelLabels = Readonly<Record<string, string>>

/** What the reference reads, and what is applied. */
export interface ModelPolicy {
  readonly onOverlap: 'filter' | 'reject'
  readonly roles: Readonly<
    Record<string, { readonly allow: readonly ModelRule[]; readonly deny?: readonly ModelRule[] }>
  >
  readonly bindings: readonly ModelBinding[]
}

export function randomPolicy(random: Random, version: number): ModelPolicy {
  const policy = {
    apiVersion: 'touchmark/v1',
    kind: 'TopicPolicy',
    metadata: { name: 'model', version },
    onDenyPublish: random(10) === 0 ? 'disconnect' : 'drop',
    onOverlap: random(6) === 0 ? 'reject' : 'filter',
    roles: Object.fromEntries(roleNames.map((name) => [name, randomRole(random)])),
    bindings: [
      { role: 'r1', match: { tier: 'tpm' } },
      ...Array.from({ length: 1 + random(3) }, () => randomBinding(random)),
    ],
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
    ...(random(4) > 0 && { site: pick(words, random) }),
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

function randomBinding(random: Random): ModelBinding {
  const labels = pick([{ kind: 'x' }, { kind: 'y' }, { site: 'a' }], random)
  const match = pick([{ labels }, { ids: [pick(deviceNames, random)] }, { tier: 'tpm' }], random)
  const cidr = pick(['', '', '127.0.0.0/8', '10.0.0.0/8'], random)
  return { role: pick(roleNames, random), match, ...(cidr !== '' && { when: { cidr } }) }
}

function randomRole(random: Random) {
  const allow = Array.from({ length: 2 + random(3) }, (_, at) => randomAllow(random, `a${at}`))
  const deny = Array.from({ length: random(3) }, (_, at) => ({
    id: `d${at}`,
    actions: [pick(actions, random)],
    topics: [randomTemplate(random)],
  }))
  return { allow, ...(deny.length > 0 && { deny }) }
}

function randomAllow(random: Random, id: string): ModelRule {
  const kind = pick(
    [['publish', 'will'], ['publish'], ['subscribe', 'receive'], ['subscribe', 'receive']] as const,
    random,
  )
  const speaks = kind[0] === 'publish'
  const topics = [
    randomTemplate(random),
    random(3) === 0 && !speaks ? '$share/g/#' : pick(['#', randomTemplate(random)], random),
  ]
  return {
    id,
    actions: kind,
    topics,
    qos: { max: pick([0, 1, 1, 2], random) },
    ...(speaks && { retain: random(2) === 0, payload: { maxBytes: 6 + random(8) } }),
  }
}

function randomTemplate(random: Random): string {
  const level = () => pick([...words, '${device.id}', '${device.labels.site}', '+', '+'], random)
  return `${Array.from({ length: 1 + random(2) }, level).join('/')}${pick(['', '', '/#'], random)}`
}
