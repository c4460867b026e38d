import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { defaultPolicy } from '#policy'
import type { Stage } from '../../../demo/stage.js'
import { enroll, openStage } from '../world.js'
import type { Client, Way } from './client.js'
import { features, type Fleet } from './features.js'
import { cellsOf, type ClientName } from './cells.js'

/** One client through every feature in both versions and over both transports; each cell is a test of its own. */
export async function runMatrix(t: TestContext, name: ClientName, client: Client): Promise<void> {
  const stage = await openFleet(t)
  for (const [number, { way, feature, gap }] of cellsOf(name).entries()) {
    const manner = `MQTT ${way.version} over ${way.transport}`
    if (gap) {
      await t.test(`(cannot: ${feature}, in ${manner}, because ${gap.because})`, () => undefined)
      continue
    }
    const fleet = { cell: `cell-${number + 1}`, caller: callerOf(stage, way) }
    await t.test(`${feature}, in ${manner}`, (cell) =>
      features[feature]({ client: endingWith(cell, client), ...fleet }),
    )
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
