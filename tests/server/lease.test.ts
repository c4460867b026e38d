import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { readConfig } from '../../server/config.js'
import { openServer } from '../../server/wire.js'
import { freePorts, temporaryFolder } from './running.js'

/** No beat comes for a quarter of it, however slow the machine is. */
const seconds = 3600

test('a broker that hears no more of locks is not ready, and says so', async (t) => {
  const { pass, ready } = await openService(t, `{ seconds: ${seconds} }`)
  assert.deepEqual(await ready(), [200, { ok: true }])
  pass(seconds)
  const problem = `has heard nothing of locks for longer than ${seconds} s; nothing is read or delivered until it does`
  assert.deepEqual(await ready(), [503, { ok: false, problem }])
})

test('one that is to go on all the same is ready, and warns', async (t) => {
  const { pass, ready } = await openService(t, `{ mode: bestEffort, seconds: ${seconds} }`)
  assert.deepEqual(await ready(), [200, { ok: true }])
  pass(seconds)
  const warning = `has heard nothing of locks for longer than ${seconds} s; goes on, by mqtt.lease`
  assert.deepEqual(await ready(), [200, { ok: true, warning }])
})

test('what is no lease is refused before anything is opened', (t) => {
  for (const lease of ['{ mode: never }', '{ seconds: 1 }', '{ seconds: 3601 }', '10']) {
    const { config } = configured(t, lease)
    assert.throws(config, { code: 'CONFIG_INVALID' }, lease)
  }
})

function configured(t: TestContext, lease: string) {
  const data = join(temporaryFolder(t), 'data')
  mkdirSync(data)
  writeFileSync(join(data, 'touchmark.yaml'), `mqtt:\n  lease: ${lease}\n`)
  return { config: () => readConfig(['--data', data, ...freePorts], {}, '0') }
}

/** With a clock that stands but for what is let pass. */
async function openService(t: TestContext, lease: string) {
  let passed = 0
  const closing: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const close of closing) await close()
  })
  const { config } = configured(t, lease)
  const clocks = { now: Date.now, elapsed: () => passed }
  const server = await openServer(config(), { ...clocks, warn: () => undefined })
  closing.push(() => server.close())
  return {
    pass: (seconds: number) => void (passed += seconds * 1000),
    /** The answer's status, and what it says of the broker. */
    async ready() {
      const answer = await fetch(`http://127.0.0.1:${server.ports.health}/readyz`)
      const { checks } = (await answer.json()) as { checks: { broker: unknown } }
      return [answer.status, checks.broker]
    },
  }
}
