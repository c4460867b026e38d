import test from 'node:test'
import { appendUntilKilled, nothingHeard, requireAll } from '../audit/killing.js'
import { createWorld } from '../audit/world.js'
import { seeded } from '../seeded.js'

const kills = Number(process.env['TOUCHMARK_LOG_KILLS'] ?? 200)
/** The log is gone through from its beginning after so many kills, and at the end. */
const lookEvery = 50
/** Longer rounds, in which checkpoints are made while records come. */
const longEvery = 20
const firstLines = 3 // "opening", the first checkpoint, the first record

test(`case 60: ${kills} kills at any moment, also while the log opens: what was called durable is there, and every checkpoint ever shown is of a beginning of the log`, async (context) => {
  const world = await createWorld(context)
  const random = seeded(60)
  const heard = nothingHeard()
  for (let kill = 1; kill <= kills; kill++) {
    const most = kill % longEvery === 0 ? 5000 : 300
    const lines = random(4) === 0 ? 1 + random(firstLines) : firstLines + random(most)
    await appendUntilKilled(world, heard, { lines, turns: random(50), firstIndex: kill * 1_000_000 })
    if (kill % lookEvery === 0 || kill === kills) await requireAll(world, heard)
  }
  context.diagnostic(`${heard.durable.size} records, ${heard.checkpoints.size} checkpoints`)
})
