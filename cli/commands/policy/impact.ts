import type { PolicyChange, PolicyImpact, Verdict } from '#protocol'
import type { Column, Output } from '../../output.js'

type Line = readonly [name: string, value: string | undefined]

/** Who gains and who loses, for people. */
export function impactLines({ decisions, devices, sessions, subscriptions, wills }: PolicyImpact): readonly Line[] {
  const { judged, since, until } = decisions
  const range = since === undefined || until === undefined ? '' : `, ${since} to ${until}`
  const ifAny = (text: string) => (text === '' ? undefined : text)
  return [
    ['decisions asked again', `${judged}${range}`],
    ['not asked', ifAny(leftOut(decisions))],
    ['of those asked', ifAny(doubts(decisions))],
    ['allow → deny', String(decisions.lose)],
    ['deny → allow', String(decisions.gain)],
    ['devices', `${devices.lose} lose, ${devices.gain} gain`],
    ['live sessions', `${sessions.lose} of ${sessions.live} lose, ${sessions.gain} gain, ${sessions.end} end`],
    ['live subscriptions', `${subscriptions.lose} of ${subscriptions.live} lose, ${subscriptions.gain} gain`],
    ['live wills', wills.live === 0 ? undefined : `${wills.lose} of ${wills.live} lose, ${wills.gain} gain`],
  ]
}

/** The changes one by one, as a table or CSV. */
export function printChanges(output: Output, { changes, changesInAll }: PolicyImpact): void {
  if (changes.length > 0) output.list(changes, columns)
  if (changesInAll > changes.length) {
    output.note(`These are ${changes.length} of ${changesInAll} kinds of changes; the totals count all of them.`)
  }
}

export function losesSomething({ devices, sessions }: PolicyImpact): boolean {
  return devices.lose > 0 || sessions.end > 0
}

const columns: readonly Column<PolicyChange>[] = [
  { name: 'effect', of: ({ effect, partly }) => (partly ? `${effect} partly` : effect) },
  { name: 'count', of: ({ count }) => String(count) },
  { name: 'devices', of: ({ devices, example }) => (devices === 1 ? example.device : String(devices)) },
  { name: 'roles', of: ({ roles }) => roles.join(',') },
  { name: 'what', of: ({ of, action }) => (of === 'decision' ? action : `live ${of}`) },
  { name: 'topic', of: ({ topic }) => topic },
  { name: 'now', of: ({ now }) => describe(now) },
  { name: 'then', of: ({ then }) => describe(then) },
  { name: 'example', of: ({ example }) => `${example.device} ${example.topic}`, wide: true },
]

/** `deny no_rule, nearest device/state plant.yaml:14:9` */
function describe({ effect, reason, rule, at, nearest }: Verdict): string {
  const place = rule === undefined ? '' : `${nearest ? 'nearest ' : ''}${rule}${at === undefined ? '' : ` ${at}`}`
  const answer = reason === undefined ? effect : `${effect} ${reason}`
  return place === '' ? answer : `${answer}${nearest ? ', ' : ' '}${place}`
}

function leftOut({ unknownDevices, notByPolicy, withoutTopic }: PolicyImpact['decisions']): string {
  return counted([
    [unknownDevices, 'of devices that are not known now'],
    [notByPolicy, 'refused for what policy does not decide'],
    [withoutTopic, 'counted without a topic'],
  ])
}

/** What the totals rest on where it is less than it seems. */
function doubts({ withoutAddress, otherwise }: PolicyImpact['decisions']): string {
  return counted([
    [withoutAddress, 'without an address, on which a policy depends'],
    [otherwise, 'not on record as the policy in force decides them now'],
  ])
}

function counted(parts: readonly (readonly [count: number, what: string])[]): string {
  return parts.flatMap(([count, what]) => (count > 0 ? [`${count} ${what}`] : [])).join(', ')
}
