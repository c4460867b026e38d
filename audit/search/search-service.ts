import { setImmediate } from 'node:timers/promises'
import { messageOf } from '#protocol'
import { AuditError, type AuditErrorCode } from '../errors.js'
import type { AuditQuery } from '../reading/query.js'
import { find } from './find.js'
import { encodeLine } from './line.js'
import { SearchIndex } from './search-index.js'

export type ToSearcher =
  | { readonly kind: 'search'; readonly id: number; readonly query: AuditQuery; readonly last: number } // last durable one
  | { readonly kind: 'more'; readonly id: number } // a page was taken
  | { readonly kind: 'stop'; readonly id: number } // nobody waits any more

export type FromSearcher =
  | { readonly kind: 'page'; readonly id: number; readonly lines: Uint8Array<ArrayBuffer> } // NDJSON, whole lines
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: AuditErrorCode; readonly message: string }

/** So many pages may be under way to one who does not take them; then the search waits. */
const pagesAhead = 2
const pageBytes = 64 * 1024

/** What was found is sent after so many bundles, however little it is. */
const bundlesPerPage = 64

/** After so many bundles other searches and the index get their turn. */
const bundlesPerTurn = 8

const catchUpEveryMs = 1000

/** Searches of one log, and the index that they go by: in a thread of its own, or in the same one in a test. */
export class SearchService {
  readonly #directory: string
  readonly #post: (message: FromSearcher) => void
  readonly #index: SearchIndex
  readonly #pagers = new Map<number, Pager>()
  readonly #timer: NodeJS.Timeout

  constructor(directory: string, post: (message: FromSearcher) => void) {
    this.#directory = directory
    this.#post = post
    this.#index = new SearchIndex(directory)
    this.#timer = setInterval(() => void this.catchUp(), catchUpEveryMs)
    void this.catchUp()
  }

  handle(message: ToSearcher): void {
    if (message.kind === 'search') void this.#search(message)
    else if (message.kind === 'more') this.#pagers.get(message.id)?.more()
    else this.#pagers.get(message.id)?.stop()
  }

  /** Resolves when the index holds what the newest checkpoint covers. What fails here fails again where somebody asks. */
  async catchUp(): Promise<void> {
    await this.#index.catchUp().catch(() => undefined)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const pager of this.#pagers.values()) pager.stop()
  }

  async #search({ id, query, last }: Extract<ToSearcher, { readonly kind: 'search' }>): Promise<void> {
    const pager = new Pager((lines) => this.#post({ kind: 'page', id, lines }))
    this.#pagers.set(id, pager)
    try {
      await this.#index.open().catch(() => undefined)
      await this.#run(pager, query, last).finally(() => pager.send()) // what was found before a failure comes before it
      this.#post({ kind: 'end', id })
    } catch (error) {
      const code = error instanceof AuditError ? error.code : 'AUDIT_FAILED'
      this.#post({ kind: 'failed', id, code, message: messageOf(error) })
    } finally {
      this.#pagers.delete(id)
    }
  }

  async #run(pager: Pager, query: AuditQuery, last: number): Promise<void> {
    let bundles = 0
    for await (const records of find({ directory: this.#directory, index: this.#index, query, last })) {
      for (const record of records) {
        pager.add(encodeLine(record))
        if (pager.bytes >= pageBytes) await pager.send()
      }
      if (++bundles % bundlesPerPage === 0) await pager.send()
      if (bundles % bundlesPerTurn === 0) await setImmediate()
      if (pager.stopped) return
    }
  }
}

/** Sends lines page by page, as fast as they are taken. */
class Pager {
  stopped = false
  bytes = 0
  readonly #post: (lines: Uint8Array<ArrayBuffer>) => void
  #lines: string[] = []
  #allowed = pagesAhead
  #wake: () => void = () => undefined

  constructor(post: (lines: Uint8Array<ArrayBuffer>) => void) {
    this.#post = post
  }

  add(line: string): void {
    this.#lines.push(line)
    this.bytes += line.length
  }

  /** Resolves when the next page may be filled. */
  async send(): Promise<void> {
    if (this.#lines.length === 0) return
    while (this.#allowed === 0 && !this.stopped) await new Promise<void>((resolve) => (this.#wake = resolve))
    if (this.stopped) return
    this.#allowed--
    this.#post(Uint8Array.from(Buffer.from(this.#lines.join(''))))
    this.#lines = []
    this.bytes = 0
  }

  more(): void {
    this.#allowed++
    this.#wake()
  }

  stop(): void {
    this.stopped = true
    this.#wake()
  }
}
