#!/usr/bin/env node
// Loads only the half that is asked for, so that a command does not wait for the server's parts.
const argv = process.argv.slice(2)
const { main } = argv[0] === 'up' ? await import('#server') : await import('#cli')
process.exitCode = await main(argv)
