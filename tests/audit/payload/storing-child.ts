import { createPrivateKey } from 'node:crypto'
import { AuditLog } from '#audit'
import { parseDeviceId } from '#protocol'
import { origin } from '../world.js'
import { said } from './world.js'

/** Has ever new devices say something, and prints place and text once that is durable; the test kills it at some moment. */
const [, , directory = '', keyFolder = '', signingKeyPem = '', run = ''] = process.argv
const log = await AuditLog.open({
  directory,
  origin,
  signingKey: createPrivateKey(signingKeyPem),
  now: Date.now,
  payload: { mode: 'store', keyFolder },
})
await Promise.all([1, 2, 3].map(sayForEver))

async function sayForEver(source: number): Promise<void> {
  for (let index = 0; ; index++) {
    const text = `run-${run}-source-${source}-message-${index}`
    const sequence = log.append(...said(text, parseDeviceId(`device-${source}-${index % 50}`)))
    await log.whenDurable(sequence)
    process.stdout.write(`${sequence} ${text}\n`)
  }
}
