import { setTimeout as wait } from 'node:timers/promises'
import { inParallel } from './in-parallel.js'

/** So many at a time, the next as soon as one is done; or so many a second, whatever becomes of them. */
export type Pace = { readonly atOnce: number } | { readonly perSecond: number }

/** `due`: when it was the item's turn, by `performance.now()`. */
export async function inPace<Item>(
  items: readonly Item[],
  pace: Pace,
  work: (item: Item, due: number) => Promise<void>,
): Promise<void> {
  if ('atOnce' in pace) return inParallel(items, pace.atOnce, (item) => work(item, performance.now()))
  const start = performance.now()
  const going: Promise<void>[] = []
  for (const [at, item] of items.entries()) {
    const due = start + (at * 1000) / pace.perSecond
    const early = due - performance.now()
    if (early > 0) await wait(early)
    going.push(work(item, due))
  }
  await Promise.all(going)
}
