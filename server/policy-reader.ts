import { Worker } from 'node:worker_threads'
import { parsePolicy, PolicyError, type TopicPolicy, withVersion } from '#policy'
import { ServerError } from './errors.js'
import { answerTo, type ReadAnswer, type ReadRequest } from './policy-reading.js'

/** Reads policy files. The largest take a third of a second. */
export interface PolicyReader {
  /** @throws PolicyError */
  parse(source: string, file: string): Promise<TopicPolicy>
  /** The same text under another number. @throws PolicyError */
  renumber(source: string, file: string, version: number): Promise<string>
}

/** In the thread that asks, which does nothing else meanwhile. */
export const readHere: PolicyReader = {
  parse: async (source, file) => parsePolicy(source, file),
  renumber: async (source, file, version) => withVersion(source, file, version),
}

interface Waiting {
  readonly request: ReadRequest
  readonly resolve: (read: TopicPolicy | string) => void
  readonly reject: (error: Error) => void
}

/** In a thread of its own, which is started when there is something to read: the broker goes on, however long it takes. */
export class PolicyThread implements PolicyReader {
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  #nextId = 0

  async parse(source: string, file: string): Promise<TopicPolicy> {
    const read = await this.#ask(source, file)
    if (typeof read === 'string') throw new ServerError('INTERNAL', 'expected a policy, got its text')
    return read
  }

  async renumber(source: string, file: string, version: number): Promise<string> {
    const read = await this.#ask(source, file, version)
    if (typeof read !== 'string') throw new ServerError('INTERNAL', 'expected the text of a policy, got what it says')
    return read
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #ask(source: string, file: string, version?: number): Promise<TopicPolicy | string> {
    const worker = (this.#worker ??= this.#start())
    const request: ReadRequest = { id: this.#nextId++, source, file, version }
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { request, resolve, reject })
      worker.postMessage(request)
    })
  }

  #start(): Worker {
    const worker = new Worker(new URL('./policy-reader-thread.js', import.meta.url))
    worker.unref()
    worker.on('message', (answer: ReadAnswer) => this.#receive(answer))
    worker.on('error', () => this.#end(worker))
    worker.on('exit', () => this.#end(worker))
    return worker
  }

  #receive(answer: ReadAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('read' in answer) waiting?.resolve(answer.read)
    else if ('failed' in answer) waiting?.reject(new ServerError('INTERNAL', answer.failed))
    else waiting?.reject(new PolicyError(answer.wrong.code, answer.wrong.at, answer.wrong.problem))
  }

  /** A policy may be what helps where no file is left to start a thread with: it is read here. The next one starts another. */
  #end(worker: Worker): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const { request } of this.#waiting.values()) this.#receive(answerTo(request))
  }
}
