import { test } from 'node:test'
import { appendUntilKilled, nothingHeard, requireAll } from './killing.js'
import { createWorld } from './world.js'

test('after kill -9 everything acknowledged is in the log, again and again', async (context) => {
  const world = await createWorld(context)
  const heard = nothingHeard()
  for (let round = 0; round < 5; round++) {
    await appendUntilKilled(world, heard, { lines: 3 + 700 * round, firstIndex: round * 1_000_000 })
    await requireAll(world, heard)
  }
})
