import { type Command, InvalidArgumentError } from 'commander'
import type { Context } from '../context.js'
import { collect } from './arguments.js'
import { examples } from './examples.js'
import { runWitness, type WitnessCommand } from './witness/run.js'

export function addWitness(program: Command, { output }: Context): void {
  program
    .command('witness')
    .description('be a witness: cosign the checkpoints of audit logs, and refuse those that take back what was said')
    .requiredOption(
      '--log <vkey>',
      'verifier key of a log, or a file with one a line; can be repeated, also for two keys of one log',
      collect,
    )
    .option('--state <dir>', 'its own folder: key, and what it has seen', 'touchmark-witness')
    .option('--name <name>', 'of a new witness, as its cosignatures will have it (default: HOSTNAME/witness)')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on; 0 takes any free one', parsePort, 8446)
    .option('--tls-cert <file>', 'PEM with the certificate chain for HTTPS (default: plain HTTP)')
    .option('--tls-key <file>', 'PEM with its private key')
    .addHelpText('after', explanation)
    .addHelpText(
      'after',
      examples(
        'witness --log ./audit.vkey',
        'witness --log ./a.vkey --log ./b.vkey --host 192.0.2.7 --tls-cert ./w.crt --tls-key ./w.key',
      ),
    )
    .action(async (options: WitnessCommand) => await runWitness(options, output()))
}

const explanation = `
Whoever has a log's key and its disk can write another past, and sign that too. A witness on another machine remembers
how long the log was and its root, and cosigns only what begins with that. It sees sizes and hashes, never a record.
At start it prints its verifier key and the lines for touchmark.yaml. It speaks https://c2sp.org/tlog-witness.

Run it where those who run the server have no say. Never put back an older copy of its folder: it would forget what it
has cosigned. If that is lost, make a new witness with another name. All that it says is public and signed, so plain
HTTP betrays nothing; who stands in between can only keep server and witness apart, which "touchmark status" shows.
Two signed checkpoints of one size with different roots prove a fork; they are kept in forks/ in its folder.
While a log changes its key ("touchmark audit rotate-key"), give the old key and the new one; later only the new one.`

function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new InvalidArgumentError('expected a port from 0 to 65535')
  return Number(text)
}
