import { parentPort, workerData } from 'node:worker_threads'
import { answerTo, type Question } from '../../enrollment/verifier/messages.js'
import { createWork } from '../../enrollment/verifier/work.js'

/** For some CSRs this thread ends, and over others it thinks for ever. */
export const deadly = new TextEncoder().encode('deadly')
export const endless = new TextEncoder().encode('endless')

const port = parentPort
if (port) {
  const work = createWork(workerData)
  port.on('message', (question: Question) => {
    const says = question.given instanceof Uint8Array ? new TextDecoder().decode(question.given) : ''
    if (says === 'deadly') process.exit(1)
    if (says === 'endless') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    port.postMessage(answerTo(work, question))
  })
}
