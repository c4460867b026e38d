import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { App } from './app.js'

/**
 * Requests that are not answered to the end, so that a service that stops ends each in its time: at first all that do or
 * ask something, and who follows the log when it has ended, because its last records are those of the stop.
 */
export class OpenRequests {
  readonly #restMs: number
  readonly #asking = new Set<ServerResponse>()
  readonly #following = new Set<ServerResponse>()
  readonly #connections = new Set<Socket>()
  #app: App | undefined
  #closing: Promise<unknown> | undefined
  #onLeave: () => void = () => undefined

  /** Once the service stops, whoever reads an answer has so long for the rest of it. */
  constructor({ restMs = 5_000 } = {}) {
    this.#restMs = restMs
  }

  /** To be called before there are routes. */
  watch(app: App): void {
    this.#app = app
    app.server.on('connection', (socket: Socket) => {
      this.#connections.add(socket)
      socket.once('close', () => this.#connections.delete(socket))
    })
    app.addHook('onRequest', async (_request, { raw }) => {
      this.#asking.add(raw)
      raw.once('close', () => {
        this.#following.delete(raw)
        this.#leave(raw)
      })
    })
  }

  /** From now on it is answered for as long as the log goes on. */
  follows(response: ServerResponse): void {
    if (this.#asking.has(response)) this.#following.add(response)
    this.#leave(response)
  }

  /** No more come, nor the rest of what has come in part; resolves when all are answered but those who follow. */
  async settled(): Promise<void> {
    this.#closing = this.#app?.close()
    this.#closing?.catch(() => undefined) // whoever waits for the end is told
    await this.#emptied(this.#asking)
  }

  /** To be called when the log has ended; resolves when nobody is connected any more. */
  async ended(): Promise<void> {
    await this.#emptied(this.#following)
    // Also those on which nothing was ever asked, or TLS not begun: Node waits for them, and knows the former alone.
    for (const socket of this.#connections) socket.destroy()
    await this.#closing
  }

  #leave(response: ServerResponse): void {
    this.#asking.delete(response)
    this.#onLeave()
  }

  /** Where all was said and there is no answer it is we who are slow, and what was asked for is done first. */
  async #emptied(responses: ReadonlySet<ServerResponse>): Promise<void> {
    const impatience = setInterval(() => {
      for (const { headersSent, req } of responses) if (headersSent || !req.complete) req.socket.destroy()
    }, this.#restMs)
    while (responses.size > 0) await new Promise<void>((resolve) => (this.#onLeave = resolve))
    clearInterval(impatience)
  }
}
