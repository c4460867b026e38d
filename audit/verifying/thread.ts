import { parentPort, workerData } from 'node:worker_threads'
import { checkRun, type Run } from './runs.js'

/* One of the threads that check bundles, started by runs.ts. */

const port = parentPort
port?.on('message', (run: Run) => port.postMessage(checkRun(String(workerData), run)))
