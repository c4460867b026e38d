#!/usr/bin/env node
import { runAgent } from './run-agent.js'

await runAgent(async (spec) => (await import('#tpm')).openTpm(spec))
