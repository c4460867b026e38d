import { type Command, InvalidArgumentError, Option } from 'commander'
import {
  type Act,
  type Fingerprint,
  type IdevidSerial,
  type Labels,
  parseDeviceId,
  parseProfileName,
  type RegisterDeviceRequest,
  type RevocationReason,
  revocationReasons,
} from '#protocol'
import type { ApiClient } from '../client.js'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import type { Output } from '../output.js'
import { enforcementRows, requireDone } from './enforcement.js'
import { examples } from './examples.js'
import { commented, commentOption, parseHash, parseLabel } from './arguments.js'
import { addHistory } from './devices/history.js'
import { addImport } from './devices/import.js'
import { addLabel } from './devices/label.js'
import { addList } from './devices/ls.js'
import { showDevice } from './devices/show.js'
import { addRotate } from './rotate.js'

interface RegisterOptions extends Act {
  readonly ekHash?: Fingerprint
  readonly idevidSpki?: Fingerprint
  readonly idevidSerial?: IdevidSerial
  readonly profile?: string
  readonly label?: Labels
}

interface RevokeOptions extends Act {
  readonly reason: RevocationReason
  readonly dryRun?: true
}

export function addDevices(program: Command, context: Context): void {
  const { client, output } = context
  const devices = program.command('devices').description('devices and the state of their lives')

  addList(devices, context)

  devices
    .command('show')
    .argument('<id>')
    .description('one device with its instances and certificates')
    .addHelpText('after', examples('devices show pump-7'))
    .action(async (id: string) => showDevice(output(), await client().call('getDevice', { id })))

  addHistory(devices, context)

  devices
    .command('register')
    .argument('<id>')
    .description('make hardware known before its device arrives')
    .addHelpText('after', '\nIt is recognised by one of these: --ek-hash, --idevid-spki, --idevid-serial.')
    .addHelpText(
      'after',
      examples(
        'devices register pump-7 --label site=oslo --ek-hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        'devices register pump-8 --idevid-serial ACME:4711-0042',
      ),
    )
    .option('--ek-hash <sha256>', "SHA-256 of the EK's SubjectPublicKeyInfo, in hex", parseHash)
    .option('--idevid-spki <sha256>', "the same of the key in its maker's certificate (IDevID)", parseHash)
    .option(
      '--idevid-serial <maker:serial>',
      'serial number there, and the maker as in touchmark.yaml',
      parseIdevidSerial,
    )
    .option('--profile <name>', 'enrollment profile')
    .option('--label <key=value>', 'label the device gets; can be repeated', parseLabel)
    .option(...commentOption)
    .action(async (id: string, options: RegisterOptions) =>
      showDevice(output(), await client().call('registerDevice', { body: registration(id, options) })),
    )

  addLabel(devices, context)

  devices
    .command('revoke')
    .argument('<id>')
    .description('end a device: its session now, its certificates, its way back')
    .addHelpText(
      'after',
      examples(
        'devices revoke pump-7 --reason keyCompromise --dry-run',
        "devices revoke pump-7 --reason keyCompromise --comment 'box was found open'",
      ),
    )
    .addOption(new Option('--reason <reason>').choices(revocationReasons).makeOptionMandatory())
    .option(...commentOption)
    .option('--dry-run', 'only say what it would end')
    .action(async (id: string, options: RevokeOptions) => {
      if (options.dryRun) await previewRevocation(client(), output(), id)
      else await revoke(client(), output(), id, options)
    })

  addImport(devices, context)
  addRotate(devices, context)
}

function registration(id: string, { profile, label, ...named }: RegisterOptions): RegisterDeviceRequest {
  return {
    id: parseDeviceId(id),
    ...named,
    ...(profile !== undefined && { profile: parseProfileName(profile) }),
    ...(label !== undefined && { labels: label }),
  }
}

/** In hex, with or without `sha256:` before it. */
function parseIdevidSerial(text: string): IdevidSerial {
  const [, maker, serial] = /^([^:]+):(.+)$/.exec(text) ?? []
  if (maker === undefined || serial === undefined) throw new InvalidArgumentError('expected MAKER:SERIAL')
  return { maker, serial }
}

async function revoke(client: ApiClient, output: Output, id: string, options: RevokeOptions): Promise<void> {
  const answer = await client.call('revokeDevice', { id, body: { reason: options.reason, ...commented(options) } })
  output.one(answer, [['device', answer.device], ...enforcementRows(answer)])
  requireDone(answer, 'the revocation')
}

async function previewRevocation(client: ApiClient, output: Output, id: string): Promise<void> {
  const device = await client.call('getDevice', { id })
  if (device.state === 'revoked')
    throw new CliError('USAGE', `${id} is revoked already, since ${device.revoked?.at ?? '?'}`)
  const sessions = (await client.call('listSessions')).filter((session) => session.device === device.id)
  const certificates = device.instances.flatMap((instance) => instance.certificates)
  const open = certificates.filter(({ state }) => state === 'current' || state === 'pending')
  output.one({ device: device.id, sessions: sessions.length, certificates: open.length, dryRun: true }, [
    ['device', device.id],
    ['would end sessions', String(sessions.length)],
    ['would revoke certificates', String(open.length)],
  ])
  output.note('Nothing was changed (--dry-run).')
}
