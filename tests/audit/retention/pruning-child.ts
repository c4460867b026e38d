import { createPrivateKey } from 'node:crypto'
import { AuditLog, Retention } from '#audit'
import { origin } from '../world.js'

/** Lets a log forget all but so many bytes, once; the test kills it at some moment after it has said that it begins. */
const [, , directory = '', signingKeyPem = '', bytes = ''] = process.argv
const signingKey = createPrivateKey(signingKeyPem)
const log = await AuditLog.open({ directory, origin, signingKey, now: Date.now, reserveBytes: 0 })
const retention = new Retention({
  ...{ log, retain: { bytes: Number(bytes) }, now: Date.now, warn: console.log },
  release: () => Promise.resolve(),
})
console.log('looking')
await retention.look()
await log.close()
