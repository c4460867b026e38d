import assert from 'node:assert/strict'
import test from 'node:test'
import type { AuditRecord } from '#protocol'
import { seeded } from '../seeded.js'
import { none } from './judge.js'
import { live, whatFails } from './live.js'
import { randomSteps } from './steps.js'

/*
 * Whatever happens, nothing gets through that the policy in force at its place in the audit log forbids. A fleet lives a
 * random life over real sockets; then its log is read by a reference that shares no code with the product.
 */

const lives = Number(process.env['TOUCHMARK_LIVES'] ?? 24)
const stepsEach = 400

/** What has to have happened, or nothing was tried. */
const eventful = ['device.renew', 'device.promote', 'device.quarantine', 'lock.expire', 'device.revoke'] as const

test(`in ${lives} lives of ${stepsEach} steps nothing gets through that the policy of its place in the log forbids`, async (t) => {
  const counts = { ...none }
  const records: AuditRecord[] = []
  for (let seed = 1; seed <= lives; seed++) {
    const lived = await live(seed, randomSteps(seeded(seed), stepsEach))
    if (lived.wrong.length > 0) assert.fail(await whatFails(seed, lived))
    for (const kind of Object.keys(none) as (keyof typeof none)[]) counts[kind] += lived.counts[kind]
    records.push(...lived.records)
  }
  const events = eventful.map((event) => [event, records.filter((record) => record.event === event).length] as const)
  const figures = [...Object.entries(counts), ...events].map(([what, count]) => `${count} ${what}`)
  t.diagnostic(`${lives} sequences, ${lives * stepsEach} steps; judged: ${figures.join(', ')}`)
  for (const [what, count] of [...Object.entries(counts), ...events]) assert.notEqual(count, 0, what)
})
