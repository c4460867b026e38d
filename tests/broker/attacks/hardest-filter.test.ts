import assert from 'node:assert/strict'
import { atBothLevels, subscribe } from '../conformance/peer.js'
import { makeWorld } from '../harness.js'

/** 16 roles of 64 rules, each of which covers the filter but for its last level. */
function policyOfManyRules(levels: number): string {
  const start = '+/'.repeat(levels - 1)
  const roles = Array.from({ length: 16 }, (_, role) => `r${role}`)
  const rules = (role: string) =>
    Array.from({ length: 64 }, (_, at) => {
      return `{ id: a${at}, actions: [subscribe, receive], topics: ["${start}${role}-${at}"] }`
    })
  return `
apiVersion: touchmark/v1
kind: TopicPolicy
metadata: { name: many, version: 3 }
roles:
${roles.map((role) => `  ${role}: { allow: [${rules(role).join(', ')}] }`).join('\n')}
bindings:
${roles.map((role) => `  - { role: ${role}, match: { ids: [d1] } }`).join('\n')}
`
}

atBothLevels('case 94: 64 wildcards against 1,024 rules that nearly cover them are refused', async (t, level) => {
  const world = await makeWorld(t, { policy: policyOfManyRules(64) })
  const client = await world.raw('d1', {}, level)
  await client.connect('d1')
  const start = '+/'.repeat(63)
  const { granted } = await subscribe(client, [`${start}+`, 1], [`${start}r3-7`, 1])
  assert.deepEqual(granted, [level === 5 ? 0x87 : 0x80, 1])
})
