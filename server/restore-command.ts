import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { CodedError, type DeviceId, parseDeviceId } from '#protocol'
import { defaultDataFolder } from './config.js'
import { ServerError } from './errors.js'
import { adviceFor, isErrno } from './files.js'
import { type Restored, restore } from './backup/restore.js'

interface Flags {
  readonly data?: string
  readonly log?: string
  readonly revoked: readonly DeviceId[]
  readonly admit?: true
  readonly output: 'text' | 'json'
}

/** `touchmark restore`; what stdout gets. @throws CommanderError; what {@link restore} throws */
export async function runRestore(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const command = restoreCommand().parse(argv, { from: 'user' })
  const { data, log, revoked, admit = false, output } = command.opts<Flags>()
  const [file = ''] = command.args
  const restored = await restore({
    backup: read(file),
    dataFolder: resolve(data ?? env['TOUCHMARK_HOME'] ?? defaultDataFolder),
    ...(log !== undefined && { newerLog: resolve(log) }),
    revoked,
    admit,
    now: Date.now,
  })
  return output === 'json' ? `${JSON.stringify(viewOf(restored))}\n` : describe(restored)
}

function restoreCommand(): Command {
  return new Command('touchmark restore')
    .description(
      'Make a data folder out of a backup. Nothing revoked comes back: open join tokens and certificates of operators are ' +
        'revoked, and all devices are locked until you have looked, unless --log tells what came after the backup.',
    )
    .argument('<file>', 'what "touchmark backup" wrote; - is standard input')
    .option(
      '--data <dir>',
      `the data folder to make: empty, or not there (TOUCHMARK_HOME; default ./${defaultDataFolder})`,
    )
    .option('--log <dir>', 'newer copy of the audit folder (log/, and wal/ where there is one), as new as there is')
    .addOption(
      new Option('--revoked <device>', 'a device that was revoked after the backup: revoke it again; can be repeated')
        .argParser((id: string, others: readonly DeviceId[]) => [...others, deviceId(id)])
        .default([], 'none'),
    )
    .option(
      '--admit',
      'let other devices in that the backup lets in, although nobody here knows who was revoked after it',
    )
    .addOption(new Option('-o, --output <format>', 'what to write on stdout').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      '\nExamples:\n  touchmark restore nightly.tar --data /var/lib/touchmark --log /mnt/old-disk/touchmark/audit\n' +
        '  touchmark restore nightly.tar --admit --revoked pump-7\n  touchmark restore nightly.tar\n  touchmark up\n  touchmark locks ls',
    )
    .exitOverride()
}

async function* read(file: string): AsyncGenerator<Uint8Array, void> {
  try {
    const source = file === '-' ? process.stdin : createReadStream(file)
    for await (const piece of source) if (piece instanceof Uint8Array) yield piece
  } catch (cause) {
    if (!isErrno(cause)) throw cause
    throw new ServerError('FOLDER_UNUSABLE', `cannot read ${file}: ${adviceFor(cause) ?? cause.code}`, { cause })
  }
}

function deviceId(text: string): DeviceId {
  try {
    return parseDeviceId(text)
  } catch (error) {
    if (error instanceof CodedError) throw new InvalidArgumentError(error.message)
    throw error
  }
}

function viewOf({ manifest, records, tokens, operators, devices, locks, reason }: Restored) {
  return {
    event: 'restored',
    trustDomain: manifest.trustDomain,
    at: new Date(manifest.at).toISOString(),
    treeSize: manifest.treeSize,
    records,
    revoked: { tokens, operators, devices },
    locks,
    ...(reason !== undefined && { reason }),
  }
}

function describe({ manifest, records, tokens, operators, devices, locks, reason }: Restored): string {
  const newer = records - manifest.treeSize
  const rows = [
    ['restored', `${manifest.trustDomain}, as of ${new Date(manifest.at).toISOString()}`],
    ['audit log', `${manifest.treeSize} records of the backup${newer > 0 ? `, ${newer} newer` : ''}`],
    [
      'revoked',
      `${tokens} open join tokens; operators: ${operators.join(', ') || 'none'}; devices: ${devices.join(', ') || 'none'}`,
    ],
    ['locked', locks.map(({ lock, profile }) => `profile ${profile} (${lock})`).join(', ') || 'nobody'],
    ...(reason === undefined ? [] : [['because', reason]]),
  ]
  const lines = rows.map(([name = '', value = '']) => `${name.padEnd(9)}  ${value}\n`).join('')
  const next =
    locks.length === 0
      ? 'Start it with "touchmark up".\n'
      : 'Start it with "touchmark up". Revoke again whom you had revoked; then "touchmark locks rm LOCK" lets the others in.\n'
  return `${lines}\n${next}`
}
