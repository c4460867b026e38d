#!/usr/bin/env node
// The agent with one more kind of chip, made of software: --tpm software:FOLDER. For the demo and the tests; not installed.
import { openSoftwareTpm } from '#simulators'
import { openTpm } from '#tpm'
import { runAgent } from './run-agent.js'

await runAgent((spec) => {
  const [kind, folder] = spec.split(/:(.*)/s)
  return kind === 'software' && folder ? openSoftwareTpm({ folder, now: Date.now }) : openTpm(spec)
})
