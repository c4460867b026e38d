#!/usr/bin/env node
import { onClosedOutput } from './closed-output.js'
import { readVersion } from './version.js'

// Loads only the half that is asked for, so that a command does not wait for the server's parts.
const argv = process.argv.slice(2)
const isServer = argv[0] === 'up'
onClosedOutput(() => isServer || argv[0] === 'witness' || process.exit())
const { main } = isServer || argv[0] === 'restore' ? await import('#server') : await import('#cli')
process.exitCode = await main(argv, readVersion())
