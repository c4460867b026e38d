import { parentPort, workerData } from 'node:worker_threads'
import type { TrustedMakers } from '../maker.js'
import { lowerPriority } from './lower-priority.js'
import { answerTo, type Question } from './messages.js'
import { createWork } from './work.js'

/* A thread that verifies, started by thread.ts. It holds no key of ours, and the broker goes before it. */

const niceness = 10

const makers: TrustedMakers = workerData
const port = parentPort
if (port) {
  lowerPriority(niceness)
  const work = createWork(makers)
  port.on('message', (question: Question) => port.postMessage(answerTo(work, question)))
}
