import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { defaultPolicy } from '#policy'
import type { Stage } from '../../../demo/stage.js'
import { enroll, openStage } from '../world.js'
import type { Client, Way } from './client.js'
import { type FeatureName, features, type Fleet } from './features.js'

const ways: readonly Way[] = [
  { version: '3.1.1', transport: 'TLS' },
  { version: '5', transport: 'TLS' },
  { version: '3.1.1', transport: 'WebSocket' },
  { version: '5', transport: 'WebSocket' },
]

/** What a client cannot do, and why: the cells of the matrix that stay empty. */
export interface Gap {
  readonly without: Partial<Way> & { readonly feature?: FeatureName }
  readonly because: string
}

/** One client through every feature in both versions and over both transports; each cell is a test of its own. */
export async function runMatrix(t: TestContext, client: Client, gaps: readonly Gap[] = []): Promise<void> {
  const stage = await openFleet(t)
  let cells = 0
  for (const way of ways) {
    const manner = `MQTT ${way.version} over ${way.transport}`
    for (const [does, feature] of Object.entries(features)) {
      const gap = gaps.find(({ without }) => isPartOf(without, { ...way, feature: does }))
      if (gap) {
        await t.test(`(cannot: ${does}, in ${manner}, because ${gap.because})`, () => undefined)
        continue
      }
      const fleet = { cell: `cell-${++cells}`, caller: callerOf(stage, way) }
      await t.test(`${does}, in ${manner}`, (cell) => feature({ client: endingWith(cell, client), ...fleet }))
    }
  }
  await t.test('and all of it stands in the log, which verifies', async () => {
    const { ok } = await stage.ask<{ ok: boolean }>('audit', 'verify')
    assert.equal(ok, true)
  })
}

/** So that a cell that fails leaves nobody behind. */
function endingWith(t: TestContext, client: Client): Client {
  return {
    ...client,
    listen: async (listening) => {
      const listener = await client.listen(listening)
      t.after(() => listener.vanish())
      return listener
    },
  }
}

function isPartOf(part: Gap['without'], cell: Way & { readonly feature: string }): boolean {
  const { version = cell.version, transport = cell.transport, feature = cell.feature } = part
  return version === cell.version && transport === cell.transport && feature === cell.feature
}

/** A sensor and a gateway that have enrolled, under the first run's policy with its example of a shared subscription. */
async function openFleet(t: TestContext): Promise<Stage> {
  const stage = await openStage(t)
  await enroll(stage, deviceNames.sensor)
  await enroll(stage, deviceNames.gateway, 'role=gateway')
  const policy = join(stage.folder, 'policy.yaml')
  writeFileSync(policy, sharingPolicy)
  await stage.operator('policy', 'apply', policy)
  return stage
}

/** Who speaks, and who listens. */
const deviceNames = { sensor: 'thermo-1', gateway: 'gateway-1' } as const

function callerOf(stage: Stage, way: Way): Fleet['caller'] {
  return (who, suffix) => ({
    ...way,
    device: stage.device(deviceNames[who]),
    clientId: `${deviceNames[who]}~${suffix}`,
    port: way.transport === 'TLS' ? stage.ports.mqtt : stage.ports.websocket,
  })
}

/** With the lines that the policy itself offers. */
const sharingPolicy = defaultPolicy
  .replace('version: 1 ', 'version: 2 ')
  .replace(/# (- id: work\n *)# ( +actions: .*\n *)# ( +topics: .*\n)/, '$1$2$3')
