import { parentPort, workerData } from 'node:worker_threads'
import { createDisk } from './disk.js'
import type { ToWriter } from './writer-service.js'
import { WriterService } from './writer-service.js'
import type { WriterOptions } from './writer.js'

/* The thread that hashes, writes and syncs, started by writer-link.ts. */

const port = parentPort
if (port) {
  const service = new WriterService(workerData as WriterOptions, createDisk(), (message) => {
    port.postMessage(message)
    if (message.kind === 'closed' || message.kind === 'failed') port.close()
  })
  port.on('message', (message: ToWriter) => service.handle(message))
}
