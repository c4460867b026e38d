import type { AuditRecord } from '#protocol'
import { decodeEntry } from '../entries/read-entry.js'
import { entryParts, eventNumbers, fields, flagsKey } from '../entries/fields.js'
import { deniedBit } from '../entries/flags.js'
import type { AuditQuery } from '../reading/query.js'

/*
 * The index knows a record by its terms: 32-bit numbers that stand for "the device is pump-7" or "the second level of
 * the topic is state". Two terms may share a number; that costs a look into the log and never hides a record.
 */

/** What the index says of one record; whoever reads many gives the same set to be filled. */
export interface Terms {
  time: number
  readonly terms: Set<number>
}

/** Deeper levels of a topic are not in the index: one record must not fill it. */
const indexedLevels = 16

/** What a term is about; levels of a topic count on from the last. */
const about = { device: 0, session: 1, event: 2, decision: 3, rule: 4, operator: 5, level: 6 }

/** The terms that every record has which the query finds. */
export function termsOfQuery({ device, session, event, decision, rule, operator, topicFilter }: AuditQuery): number[] {
  const levels = topicFilter === undefined ? [] : topicFilter.split('/').slice(0, indexedLevels)
  return [
    ...(device === undefined ? [] : [textTerm(about.device, device)]),
    ...(session === undefined ? [] : [sessionTerm(session)]),
    ...(event === undefined ? [] : [numberTerm(about.event, eventNumbers[event])]),
    ...(decision === undefined ? [] : [decisionTerm(decision)]),
    ...(rule === undefined ? [] : [textTerm(about.rule, rule)]),
    ...(operator === undefined ? [] : [textTerm(about.operator, operator)]),
    ...levels.flatMap((level, at) => (level === '+' || level === '#' ? [] : [textTerm(about.level + at, level)])),
  ]
}

/**
 * Adds the terms of an entry and says when it was. The entry is not decoded but skimmed: this happens to every record.
 * @throws AuditError AUDIT_INVALID
 */
export function skimEntry(entry: Uint8Array, into: Terms): void {
  if (!skim(entry, into)) addTerms(decodeEntry(entry), into)
}

/** The same from a record; for the few that are not plain. */
function addTerms(record: AuditRecord, into: Terms): void {
  into.time = record.time
  const { terms } = into
  terms.add(numberTerm(about.event, eventNumbers[record.event]))
  if ('device' in record && record.device !== undefined) terms.add(textTerm(about.device, record.device))
  if ('session' in record) terms.add(sessionTerm(record.session))
  if ('decision' in record) terms.add(decisionTerm(record.decision))
  if ('operator' in record) terms.add(textTerm(about.operator, record.operator))
  if ('rules' in record) for (const rule of record.rules) terms.add(textTerm(about.rule, rule))
  if (!('topic' in record)) return
  const levels = record.topic.split('/').slice(0, indexedLevels)
  for (const [at, level] of levels.entries()) terms.add(textTerm(about.level + at, level))
}

/*
 * CBOR as write-entry.ts writes it, as far as it must be understood to skip it. The place goes along outside of the
 * functions, because to hand it back and forth would cost as much as the reading.
 */

let at = 0
let major = 0

/** False where the entry holds shortened text, or is not what it should be: then it must be decoded. */
function skim(entry: Uint8Array, into: Terms): boolean {
  at = 0
  const { terms } = into
  if (head(entry) !== entryParts) return false
  head(entry) // the version
  head(entry) // the sequence number, which its place says too
  const time = head(entry)
  into.time = major === negative ? -1 - time : time
  terms.add(numberTerm(about.event, head(entry)))
  for (let left = head(entry); left > 0; left--) {
    const key = head(entry)
    const argument = head(entry)
    if (key === flagsKey) terms.add(numberTerm(about.decision, argument & deniedBit))
    else if (key === fields.rules[0]) {
      if (!skimTexts(entry, argument, terms)) return false
    } else {
      const kind = kindOf(key)
      if (kind < 0) skip(entry, argument)
      else if (major !== (kind === about.session ? bytes : text) || at + argument > entry.length) return false
      else {
        if (kind === about.level) addLevels(entry, at + argument, terms)
        else terms.add(bytesTerm(kind, entry, at, at + argument))
        at += argument
      }
    }
  }
  return at === entry.length
}

function skimTexts(entry: Uint8Array, count: number, terms: Set<number>): boolean {
  for (let left = count; left > 0; left--) {
    const length = head(entry)
    if (major !== text || at + length > entry.length) return false
    terms.add(bytesTerm(about.rule, entry, at, at + length))
    at += length
  }
  return true
}

function kindOf(key: number): number {
  switch (key) {
    case fields.device[0]:
      return about.device
    case fields.session[0]:
      return about.session
    case fields.topic[0]:
      return about.level
    case fields.operator[0]:
      return about.operator
    default:
      return -1
  }
}

function addLevels(entry: Uint8Array, end: number, terms: Set<number>): void {
  let from = at
  for (let level = 0; level < indexedLevels; level++) {
    let to = from
    while (to < end && entry[to] !== slash) to++
    terms.add(bytesTerm(about.level + level, entry, from, to))
    if (to === end) return
    from = to + 1
  }
}

const negative = 1
const bytes = 2
const text = 3
const array = 4
const map = 5
const slash = 0x2f

function head(entry: Uint8Array): number {
  const first = entry[at++] ?? 0
  major = first >> 5
  const info = first & 31
  if (info < 24) return info
  const width = 1 << (info - 24)
  let argument = 0
  for (let left = Math.min(width, 8); left > 0; left--) argument = argument * 256 + (entry[at++] ?? 0)
  return argument
}

/** The rest of a value whose head was read. */
function skip(entry: Uint8Array, argument: number): void {
  if (major === bytes || major === text) at += argument
  else if (major === array || major === map) {
    for (let left = major === map ? 2 * argument : argument; left > 0 && at < entry.length; left--)
      skip(entry, head(entry))
  }
}

function textTerm(kind: number, value: string): number {
  const utf8 = Buffer.from(value)
  return bytesTerm(kind, utf8, 0, utf8.length)
}

/** What is no name of a session is looked for, too; no record has it. */
function sessionTerm(name: string): number {
  const bytes = Buffer.from(name, 'hex')
  return bytesTerm(about.session, bytes, 0, bytes.length)
}

function decisionTerm(decision: 'allow' | 'deny'): number {
  return numberTerm(about.decision, decision === 'deny' ? deniedBit : 0)
}

function numberTerm(kind: number, value: number): number {
  return mixed(Math.imul(start ^ kind, prime) ^ value)
}

const start = 0x811c9dc5
const prime = 0x01000193

/** FNV-1a, and its bits well mixed, because the first eight of them choose the place in a file. */
function bytesTerm(kind: number, from: Uint8Array, begin: number, end: number): number {
  let hash = Math.imul(start ^ kind, prime)
  for (let index = begin; index < end; index++) hash = Math.imul(hash ^ (from[index] ?? 0), prime)
  return mixed(hash)
}

/** The last step of MurmurHash3: every bit of the number changes about half of the bits of the result. */
function mixed(number: number): number {
  let hash = number
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) | 0
}
