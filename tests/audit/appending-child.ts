import { createPrivateKey } from 'node:crypto'
import { AuditLog } from '#audit'
import { origin, published } from './world.js'

/**
 * Appends without end; the test kills it at some moment. It says what whoever listens may rely on, one word a line:
 * when it begins, each newer checkpoint (as base64), and the place of each record, with its session index, once that is
 * durable. The indexes begin with the third argument.
 */
const [, , directory = '', signingKeyPem = '', firstIndex = '0'] = process.argv
const atOnce = 20
const signingKey = createPrivateKey(signingKeyPem)
let shown = ''
let nextIndex = Number(firstIndex)

console.log('opening')
const log = await AuditLog.open({ directory, origin, signingKey, now: Date.now })
showCheckpoint()
await Promise.all([1, 2, 3].map(appendForEver))

async function appendForEver(): Promise<void> {
  for (;;) {
    const appended = Array.from({ length: atOnce }, () => {
      const index = nextIndex++
      return { index, sequence: log.append(published(index)) }
    })
    for (const { index, sequence } of appended) {
      await log.whenDurable(sequence)
      process.stdout.write(`${sequence} ${index}\n`)
    }
    showCheckpoint()
  }
}

function showCheckpoint(): void {
  const checkpoint = log.checkpoint()
  if (checkpoint === shown) return
  shown = checkpoint
  process.stdout.write(`checkpoint ${Buffer.from(checkpoint).toString('base64')}\n`)
}
