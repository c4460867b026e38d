import { Duplex } from 'node:stream'
import type { MessagePort } from 'node:worker_threads'
import { AgentError } from './errors.js'
import type { FromAgent, FromThread } from './tpm-tls-messages.js'

/** The agent's end of a TLS connection that its TLS thread holds, with back-pressure in both directions. */
export class TlsThreadStream extends Duplex {
  readonly #channel: MessagePort
  readonly #exports: ((bytes: Uint8Array) => void)[] = []
  #written: (() => void) | undefined

  constructor(channel: MessagePort) {
    super()
    this.#channel = channel
    channel.on('message', (message: FromThread) => this.#receive(message))
    channel.once('close', () => this.destroy())
    // As with a socket: whoever uses the stream hears 'close'; an error that nobody hears must not end the process.
    this.on('error', () => undefined)
  }

  /** RFC 8446 §7.5, with an empty context. */
  export(length: number, label: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.destroyed) return reject(new AgentError('CONNECTION_LOST', 'the connection is closed'))
      this.#exports.push(resolve)
      this.once('close', () => reject(new AgentError('CONNECTION_LOST', 'the connection closed')))
      this.#tell({ kind: 'export', length, label })
    })
  }

  /** As sockets have it; who reuses a connection asks for it. */
  ref(): this {
    this.#channel.ref()
    return this
  }

  override _read(): void {
    this.#tell({ kind: 'resume' })
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    if (chunk.length === 0) return done() // as HTTP ends a request; TLS never tells that it has written nothing
    this.#written = done
    this.#tell({ kind: 'write', chunk })
  }

  override _final(done: () => void): void {
    this.#tell({ kind: 'end' })
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#tell({ kind: 'destroy' })
    this.#channel.close()
    done(error)
  }

  #receive(message: FromThread): void {
    switch (message.kind) {
      case 'data':
        if (!this.push(message.chunk)) this.#tell({ kind: 'pause' })
        return
      case 'written': {
        const done = this.#written
        this.#written = undefined
        return done?.()
      }
      case 'exported':
        return this.#exports.shift()?.(message.bytes)
      case 'ended':
        return void this.push(null)
      case 'closed':
      case 'failed':
        return void this.destroy()
      case 'open':
        return
    }
  }

  #tell(message: FromAgent): void {
    this.#channel.postMessage(message)
  }
}
