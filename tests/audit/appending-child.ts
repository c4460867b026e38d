import { createPrivateKey } from 'node:crypto'
import { AuditLog } from '#audit'
import { origin, published } from './world.js'

/** Appends without end and prints each sequence number once it is durable; the test kills it at some moment. */
const [, , directory = '', signingKeyPem = ''] = process.argv
const signingKey = createPrivateKey(signingKeyPem)
const log = await AuditLog.open({ directory, origin, node: 'node-1', signingKey, now: Date.now })
await Promise.all([1, 2, 3].map(appendForEver))

async function appendForEver(): Promise<void> {
  for (;;) {
    const sequences = Array.from({ length: 20 }, (_, index) => log.append(published(index)))
    for (const sequence of sequences) {
      await log.whenDurable(sequence)
      process.stdout.write(`${sequence}\n`)
    }
  }
}
