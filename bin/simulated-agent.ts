#!/usr/bin/env node
// The agent with one more kind of chip, made of software: --tpm software:FOLDER. What its machine has measured stands in
// FOLDER/event-log, where there is one. For the demo and the tests; not installed.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openSoftwareTpm } from '#simulators'
import { openTpm } from '#tpm'
import { runAgent } from './run-agent.js'

await runAgent(async (spec) => {
  const [kind, folder] = spec.split(/:(.*)/s)
  if (kind !== 'software' || !folder) return openTpm(spec)
  const eventLog = await readFile(join(folder, 'event-log')).catch(() => undefined)
  return openSoftwareTpm({ folder, now: Date.now, ...(eventLog && { eventLog }) })
})
