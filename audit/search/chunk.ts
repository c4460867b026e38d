import { tileWidth } from '../tree/tiles.js'
import { skimEntry } from './terms.js'

/*
 * The index is kept by chunks of 256 bundles, 65,536 records: as many as one tile of the tree's level 1 stands for. It
 * says which bundles of a chunk can hold what is sought; which records they are, the log says.
 */

export const bundlesPerChunk = tileWidth
export const recordsPerChunk = bundlesPerChunk * tileWidth

/** What the index knows of one bundle. */
export interface BundleSummary {
  /** In ascending order, each once. */
  readonly terms: Int32Array
  /** Of its records' times, which need not be in order. */
  readonly earliest: number
  readonly latest: number
}

/** What a bundle must have to be looked into. */
export interface Sought {
  /** All of them. */
  readonly terms: readonly number[]
  /** Milliseconds since 1970; from this one on, and up to and not with the other. */
  readonly since: number
  readonly until: number
}

export const anyTime = { since: -Infinity, until: Infinity }

/** @throws AuditError AUDIT_INVALID for what is no entry */
export function summarize(entries: Iterable<Uint8Array>): BundleSummary {
  const collected = { time: 0, terms: new Set<number>() }
  let earliest = Infinity
  let latest = -Infinity
  for (const entry of entries) {
    skimEntry(entry, collected)
    earliest = Math.min(earliest, collected.time)
    latest = Math.max(latest, collected.time)
  }
  return { terms: Int32Array.from(collected.terms).sort(), earliest, latest }
}

/** Of a bundle that is no longer in the log: nothing is found there. */
export const emptySummary: BundleSummary = { terms: new Int32Array(), earliest: Infinity, latest: -Infinity }

export function overlaps({ earliest, latest }: Omit<BundleSummary, 'terms'>, { since, until }: Sought): boolean {
  return latest >= since && earliest < until
}

/** The bundles of a chunk, by their place in it, that can hold what is sought. */
export function candidatesAmong(summaries: readonly BundleSummary[], sought: Sought): readonly number[] {
  return [...summaries.keys()].filter((place) => {
    const summary = summaries[place]
    return summary && overlaps(summary, sought) && sought.terms.every((term) => has(summary.terms, term))
  })
}

function has(terms: Int32Array, term: number): boolean {
  let low = 0
  for (let high = terms.length; low < high;) {
    const middle = (low + high) >>> 1
    if ((terms[middle] ?? 0) < term) low = middle + 1
    else high = middle
  }
  return terms[low] === term
}
