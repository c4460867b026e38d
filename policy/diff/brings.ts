import type { PolicyDifference } from '#protocol'

/** What a change means to whom it is about. */
export type Brings = PolicyDifference['brings']

/** What is given where something is taken, and the other way round: of denies, and of what is taken away. */
export function opposite(brings: Brings): Brings {
  return brings === 'other' ? 'other' : brings === 'more' ? 'less' : 'more'
}

export function compareNumbers(from: number, to: number): Brings | undefined {
  return from === to ? undefined : from < to ? 'more' : 'less'
}

export function compareSets<T>(from: Iterable<T>, to: Iterable<T>): Brings | undefined {
  const [before, after] = [new Set(from), new Set(to)]
  return compareReach(
    [...after].every((one) => before.has(one)),
    [...before].every((one) => after.has(one)),
  )
}

/** From whether the older reaches all that the newer does, and the newer all that the older does. */
export function compareReach(olderHasAll: boolean, newerHasAll: boolean): Brings | undefined {
  if (olderHasAll && newerHasAll) return undefined
  return newerHasAll ? 'more' : olderHasAll ? 'less' : 'other'
}
