import { AuditError } from '../errors.js'
import type { AuditQuery } from '../reading/query.js'
import { SearchPlaces } from './places.js'
import { type ConnectSearcher, type SearchLink, startSearcher } from './search-link.js'
import type { FromSearcher } from './search-service.js'

export interface LogSearchOptions {
  /** The log's folder; the index stands there in `idx/`. */
  readonly directory: string
  /** The last record that is durable; only up to there is searched. */
  readonly durable: () => number
  /** Told of records that are not what was written, whoever's search has come by there. */
  readonly warn?: (sentence: string) => void
  /** Milliseconds by a clock that nobody sets: how long a search has not been read. */
  readonly elapsed: () => number
  /** How to reach the searcher. Default: a worker thread. */
  readonly connectSearcher?: ConnectSearcher
}

/** Who asked, and how it is known that nobody waits any more. */
export interface SearchReader {
  readonly operator: string
  readonly signal?: AbortSignal
}

/** Searches a log that may be growing, and keeps an index of it. */
export class LogSearch {
  readonly #options: LogSearchOptions
  readonly #places: SearchPlaces
  readonly #inboxes = new Map<number, Inbox>()
  #link: SearchLink | undefined
  #closed = false
  #nextId = 0

  constructor(options: LogSearchOptions) {
    this.#options = options
    this.#places = new SearchPlaces(options.elapsed)
    this.#link = this.#connect()
  }

  /**
   * The durable records that match, as NDJSON in pieces of whole lines. Nothing is read ahead of who takes them but two
   * pieces, and nothing at all after the end of the iteration or the signal, whose reason it throws: what was broken off
   * must not look whole. One that is not read may have to give its place up: see places.ts.
   * @throws AuditError AUDIT_BUSY, AUDIT_CORRUPT, AUDIT_FAILED, AUDIT_CLOSED
   */
  async *lines(query: AuditQuery, { operator, signal }: SearchReader): AsyncGenerator<Uint8Array, void> {
    if (this.#closed) throw new AuditError('AUDIT_CLOSED', 'the audit log is closed')
    const link = (this.#link ??= this.#connect())
    const id = this.#nextId++
    const inbox = new Inbox()
    const place = this.#places.take(operator, ({ code, message }) => {
      stop()
      inbox.empty()
      inbox.put({ kind: 'failed', id, code, message })
    })
    const stop = (): void => {
      if (this.#inboxes.delete(id)) link.send({ kind: 'stop', id })
    }
    const leave = (): void => {
      place.leave()
      stop()
      inbox.put({ kind: 'end', id })
    }
    this.#inboxes.set(id, inbox)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      link.send({ kind: 'search', id, query, last: this.#options.durable() })
      for (let message = await inbox.take(); message.kind !== 'end'; message = await inbox.take()) {
        if (signal?.aborted) break
        if (message.kind === 'failed') throw this.#failure(message)
        place.offered()
        yield message.lines
        place.taken()
        link.send({ kind: 'more', id })
      }
      signal?.throwIfAborted()
    } finally {
      signal?.removeEventListener('abort', leave)
      leave()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#link?.close()
  }

  #failure({ code, message }: Extract<FromSearcher, { readonly kind: 'failed' }>): AuditError {
    if (code === 'AUDIT_CORRUPT') this.#options.warn?.(`a search has found the audit log damaged: ${message}`)
    return new AuditError(code, message)
  }

  /** A thread that dies takes its searches along; the next search starts another one. */
  #connect(): SearchLink {
    const link = (this.#options.connectSearcher ?? startSearcher)(this.#options.directory, {
      receive: (message) => this.#inboxes.get(message.id)?.put(message),
      end: (cause) => {
        if (this.#link !== link) return
        this.#link = undefined
        const message = cause ? `the search has failed: ${cause.message}` : 'the search has ended'
        for (const [id, inbox] of this.#inboxes) inbox.put({ kind: 'failed', id, code: 'AUDIT_FAILED', message })
      },
    })
    return link
  }
}

/** What has come for one search and was not taken yet: the searcher bounds it. */
class Inbox {
  readonly #messages: FromSearcher[] = []
  #wake: () => void = () => undefined

  put(message: FromSearcher): void {
    this.#messages.push(message)
    this.#wake()
  }

  empty(): void {
    this.#messages.length = 0
  }

  async take(): Promise<FromSearcher> {
    for (;;) {
      const message = this.#messages.shift()
      if (message) return message
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
