import type { AuditRecord } from '#protocol'
import { decodeEntry } from '../entries/read-entry.js'
import { AuditError } from '../errors.js'
import { type AuditQuery, matcherOf } from '../reading/query.js'
import { gone, LogReader } from '../reading/reader.js'
import { bundlePath, tileWidth } from '../tree/tiles.js'
import { Bundles, entriesWith } from './bundles.js'
import { bundlesPerChunk, recordsPerChunk, type Sought } from './chunk.js'
import { needlesOf } from './needles.js'
import type { SearchIndex } from './search-index.js'
import { termsOfQuery } from './terms.js'

export interface FindOptions {
  readonly directory: string
  readonly index: SearchIndex
  readonly query: AuditQuery
  /** The last record that is durable; -1 where there is none. */
  readonly last: number
}

/**
 * The records that match, in the order asked for, in pieces as they are found; an empty piece says that the search goes
 * on. The index says where to look, and every record is read from the log and held against the query again. What the
 * index does not know is read whole. Where retention takes records away meanwhile, newest first ends before them, as if
 * it had been asked later; oldest first, and behind a place that was given, there would be a hole.
 * @throws AuditError AUDIT_GONE instead; AUDIT_CORRUPT
 */
export async function* find({
  directory,
  index,
  query,
  last,
}: FindOptions): AsyncGenerator<readonly AuditRecord[], void> {
  const isNewestFirst = query.order !== 'oldest'
  const bundles = new Bundles(directory)
  const first = await firstOf(bundles)
  if (!isNewestFirst && query.after !== undefined && query.after + 1 < first) throw gone(query.after + 1, first)
  const range = rangeOf(query, first, last)
  const indexed = { from: range.from, to: Math.min(range.to, index.end - 1) }
  const newest = { from: Math.max(range.from, index.end), to: range.to }
  const pieces = isNewestFirst
    ? [findUnindexed(directory, query, newest), findIndexed(bundles, index, query, indexed)]
    : [findIndexed(bundles, index, query, indexed), findUnindexed(directory, query, newest)]
  let left = query.limit ?? Infinity
  for (const part of pieces) {
    if (left <= 0) return
    for await (const found of part) {
      yield found.length > left ? found.slice(0, left) : found
      left -= found.length
      if (left <= 0) return
    }
  }
}

/** Sequence numbers, both ends included; empty where `to` is below `from`. */
interface Range {
  readonly from: number
  readonly to: number
}

function rangeOf({ order, after }: AuditQuery, first: number, last: number): Range {
  if (order === 'oldest') return { from: Math.max(first, (after ?? -1) + 1), to: last }
  return { from: first, to: Math.min(last, (after ?? Infinity) - 1) }
}

/** Bundle by bundle, in those that the index names. */
async function* findIndexed(
  bundles: Bundles,
  index: SearchIndex,
  query: AuditQuery,
  { from, to }: Range,
): AsyncGenerator<readonly AuditRecord[], void> {
  const isNewestFirst = query.order !== 'oldest'
  const sought: Sought = { terms: termsOfQuery(query), since: query.since ?? -Infinity, until: query.until ?? Infinity }
  const matches = matcherOf(query)
  const needles = needlesOf(query)
  const chunks = numbersBetween(Math.floor(from / recordsPerChunk), Math.floor(to / recordsPerChunk))
  for (const chunk of ordered(to < from ? [] : chunks, isNewestFirst)) {
    const places = index.candidates(chunk, sought) ?? numbersBetween(0, bundlesPerChunk - 1)
    if (!isNewestFirst) await requireKept(bundles, Math.max(from, chunk * recordsPerChunk))
    yield []
    for (const place of ordered(places, isNewestFirst)) {
      const bundle = chunk * bundlesPerChunk + place
      const begin = bundle * tileWidth
      if (begin > to || begin + tileWidth <= from) continue
      const found = bundles.read(bundle)
      if (found === undefined) {
        await requireGone(bundles, bundle)
        if (isNewestFirst) return
        throw gone(begin, await firstOf(bundles))
      }
      const records: AuditRecord[] = []
      for (const [at, entry] of entriesWith(found, bundle, needles)) {
        const sequence = begin + at
        if (sequence < from || sequence > to) continue
        const record = decodeEntry(entry)
        if (record.sequence !== sequence) throw corrupt(sequence, 'the record says another place')
        if (matches(record)) records.push(record)
      }
      yield isNewestFirst ? records.reverse() : records
    }
  }
}

/** The index can have been made since the search began, and then says nothing of what had gone by then. */
async function requireKept(bundles: Bundles, sequence: number): Promise<void> {
  const first = await firstOf(bundles)
  if (sequence < first) throw gone(sequence, first)
}

async function requireGone(bundles: Bundles, index: number): Promise<void> {
  if (index >= (await bundles.first())) throw corrupt(index * tileWidth, `${bundlePath(index)} is missing`)
}

async function firstOf(bundles: Bundles): Promise<number> {
  return (await bundles.first()) * tileWidth
}

/** Record by record: what is too new for the index. */
async function* findUnindexed(
  directory: string,
  query: AuditQuery,
  { from, to }: Range,
): AsyncGenerator<readonly AuditRecord[], void> {
  if (to < from) return
  const matches = matcherOf(query)
  const reader = new LogReader(directory)
  let found: AuditRecord[] = []
  for await (const record of query.order === 'oldest' ? reader.forward(from, to) : reader.backward(to, from)) {
    if (matches(record)) found.push(record)
    if (record.sequence % tileWidth !== 0) continue
    yield found
    found = []
  }
  yield found
}

function numbersBetween(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, at) => from + at)
}

function ordered(ascending: readonly number[], isNewestFirst: boolean): readonly number[] {
  return isNewestFirst ? ascending.toReversed() : ascending
}

function corrupt(sequence: number, problem: string): AuditError {
  return new AuditError('AUDIT_CORRUPT', `record ${sequence}: ${problem}`, { sequence })
}
