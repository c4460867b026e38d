/*
 * Places among the changes of who is kept out are numbers of two parts (spec §6, "epoch, counter"): how often the service was
 * put back from a backup, and, below that, a counter. So whoever has seen changes that a restored service does not know
 * takes none of its own for an old one.
 */

const counters = 2 ** 32

/** The first place behind all that can have had one, before a restore. */
export function epochAfterRestore(epoch: number): number {
  return (restoresIn(epoch) + 1) * counters
}

export function restoresIn(epoch: number): number {
  return Math.floor(epoch / counters)
}
