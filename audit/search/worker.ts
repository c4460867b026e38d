import { parentPort, workerData } from 'node:worker_threads'
import { SearchService, type ToSearcher } from './search-service.js'

/* The thread that makes the index and searches, started by search-link.ts. */

const port = parentPort
if (port) {
  const service = new SearchService(String(workerData), (message) => {
    port.postMessage(message, message.kind === 'page' ? [message.lines.buffer] : [])
  })
  port.on('message', (message: ToSearcher) => service.handle(message))
}
