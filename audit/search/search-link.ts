import { Worker } from 'node:worker_threads'
import type { FromSearcher, ToSearcher } from './search-service.js'

/** The way to a {@link SearchService} and back. */
export interface SearchLink {
  send(message: ToSearcher): void
  close(): Promise<void>
}

export interface SearchListener {
  readonly receive: (message: FromSearcher) => void
  /** Nothing comes any more. */
  readonly end: (cause?: Error) => void
}

export type ConnectSearcher = (directory: string, listener: SearchListener) => SearchLink

/** Starts it in a thread of its own: however much there is to read, the broker's thread only hands on what was found. */
export const startSearcher: ConnectSearcher = (directory, { receive, end }) => {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: directory })
  worker.on('message', receive)
  worker.on('error', end)
  worker.on('exit', () => end())
  return {
    send: (message) => worker.postMessage(message),
    close: async () => void (await worker.terminate()),
  }
}
