import { parentPort } from 'node:worker_threads'
import { answerTo, type ReadRequest } from './policy-reading.js'

/* The thread that reads policies, started by policy-reader.ts. */

const port = parentPort
port?.on('message', (request: ReadRequest) => port.postMessage(answerTo(request)))
