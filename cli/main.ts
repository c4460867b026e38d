import { Command, CommanderError, Option } from 'commander'
import { CodedError, messageOf } from '#protocol'
import { ApiClient } from './client.js'
import { addApprovals } from './commands/approvals.js'
import { addAttest } from './commands/attest.js'
import { addBackup } from './commands/backup.js'
import { addAudit } from './commands/audit.js'
import { addDevices } from './commands/devices.js'
import { addLocks } from './commands/locks.js'
import { addOperators } from './commands/operators.js'
import { addPolicy } from './commands/policy.js'
import { addServices } from './commands/services.js'
import { addSessions } from './commands/sessions.js'
import { addStatus } from './commands/status.js'
import { addTokens } from './commands/tokens.js'
import { addWitness } from './commands/witness.js'
import type { Context } from './context.js'
import { readCredential } from './credential.js'
import { type ExitCode, exitCodeOf, exitCodes } from './exit.js'
import { type Format, formats, Output } from './output.js'
import { keepFresh } from './operator-key.js'
import { printable } from './printable.js'
import { typed } from './typed.js'
import { type GlobalOptions, readSettings } from './settings.js'

/** Runs one operator's command; the exit code says how it went. `version`: of this program. */
export async function main(argv: readonly string[], version: string): Promise<ExitCode> {
  const program = createProgram(version)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    process.stderr.write(`touchmark: ${printable(describe(error))}\n`)
    return exitCodeOf(error)
  }
}

/** Every command with its options; nothing is read before one runs. */
export function createProgram(version: string): Command {
  const program = new Command('touchmark')
    .description('Device identity for fleets: who is it, what may it say, what did it say.')
    .addHelpText(
      'before',
      'touchmark up starts the server, touchmark restore makes its data folder out of a backup ("--help" behind either\n' +
        'says more). Everything else asks the server, but for "witness":\n',
    )
    .version(version, '--version', 'version of this program')
    .option('--server <url>', 'address of the server (TOUCHMARK_SERVER; default: where "touchmark up" last listened)')
    .option('--identity <dir>', 'folder with operator.crt, operator.key and ca.crt (TOUCHMARK_IDENTITY)')
    .option('--data <dir>', 'data folder of the server on this machine (TOUCHMARK_HOME; default ./touchmark-data)')
    .addOption(new Option('-o, --output <format>', 'how to write the answer').choices(formats).default('table'))
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(touchmark --help says more)')
    .exitOverride()
  const context = createContext(program)
  for (const add of [
    addStatus,
    addDevices,
    addApprovals,
    addLocks,
    addTokens,
    addOperators,
    addSessions,
    addServices,
    addPolicy,
    addAttest,
    addAudit,
    addBackup,
    addWitness,
  ])
    add(program, context)
  return program
}

function createContext(program: Command): Context {
  const settings = () => readSettings(program.opts<GlobalOptions>(), process.env)
  return {
    settings,
    client: () => {
      const { server, identityFolder } = settings()
      return new ApiClient(server, readCredential(identityFolder), keepFresh(identityFolder, Date.now))
    },
    output: () => new Output(program.opts<{ output: Format }>().output, process),
    typed: (question, word) => typed(process, question, word),
  }
}

function describe(error: unknown): string {
  if (error instanceof CodedError) return `${error.message} [${error.code}]`
  return messageOf(error)
}
