import { ownLabel, tiers } from '#protocol'
import type { Sight } from '../inventory/sight.js'
import { oneOf, span, textLike } from './kinds-of-term.js'
import type { Term, Terms } from './query.js'

/** What a query can say of a device. What it reports of itself narrows what is shown here, and decides nothing anywhere. */
export const deviceTerms: Terms<Sight> = {
  maps: {
    label: ({ device }) => device.labels,
    fact: (sight) => sight.reported,
  },
  words: {
    id: textLike(({ device }) => [device.id]),
    profile: textLike(({ device }) => [device.profile]),
    is: oneOf({
      online: (sight) => sight.isOnline,
      offline: (sight) => !sight.isOnline,
      registered: ({ device }) => device.state === 'registered',
      active: ({ device }) => device.state === 'active',
      revoked: ({ device }) => device.state === 'revoked',
      locked: (sight) => sight.standing === 'locked',
      quarantined: (sight) => sight.standing === 'quarantined',
    }),
    tier: oneOf(
      Object.fromEntries(tiers.map((tier) => [tier, (sight: Sight) => sight.certificate?.tier === tier] as const)),
    ),
    cert: span({
      distance: ({ certificate }, now) => certificate && certificate.notAfter - now,
      words: { expired: (left) => left !== undefined && left <= 0, none: (left) => left === undefined },
    }),
    seen: span({
      distance: ({ seenAt }, now) => (seenAt === undefined ? undefined : Math.max(0, now - seenAt)),
      words: { never: (ago) => ago === undefined },
    }),
    model: fact('model'),
    os: fact('os'),
    firmware: fact('firmware'),
    agent: fact('agent'),
  },
}

/** Shorter than `fact.model="RX 7"`, and the same. */
function fact(name: string): Term<Sight> {
  return textLike(({ reported }) => {
    const value = ownLabel(reported, name)
    return value === undefined ? [] : [value]
  })
}
