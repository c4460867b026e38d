import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import {
  type Act,
  type InviteOperatorRequest,
  type JoinUri,
  type OperatorView,
  type OwnView,
  parseInvitation,
  parseOperatorName,
} from '#protocol'
import { ApiClient } from '../client.js'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import { fetchRoot } from '../first-contact.js'
import { cannotWrite, writeNamed } from '../named-files.js'
import { createOperatorKey, csrOf } from '../operator-key.js'
import type { Column } from '../output.js'
import { commented, commentOption, formatLabels, formatTime, parseDuration } from './arguments.js'
import { requireRecorded } from './enforcement.js'
import { examples } from './examples.js'

const columns: readonly Column<OperatorView>[] = [
  { name: 'operator', of: ({ operator }) => operator },
  { name: 'certificates', of: ({ certificates }) => String(certificates.length) },
  { name: 'until', of: ({ certificates }) => latest(certificates) },
  { name: 'invited until', of: ({ invitations }) => latest(invitations) },
  { name: 'may', of: ({ acts }) => acts.join(' ') },
  {
    name: 'fingerprints',
    of: ({ certificates }) => certificates.map(({ fingerprint }) => fingerprint).join(' '),
    wide: true,
  },
]

interface InviteOptions extends Act {
  readonly ttl?: number
  readonly valid?: number
}

export function addOperators(program: Command, { client, output, settings }: Context): void {
  const operators = program.command('operators').description('who may work here')

  operators
    .command('invite')
    .argument('<name>', 'as the policy binds it to roles')
    .description('invite a person to be an operator, or to be one again')
    .addHelpText('after', examples('operators invite bob', "operators invite bob --ttl 4h --comment 'on call'"))
    .option('--ttl <duration>', 'how long each certificate lives (default: as the server is configured)', parseDuration)
    .option('--valid <duration>', 'how long the invitation is good (default 1h, at most 7d)', parseDuration)
    .option(...commentOption)
    .action(async (name: string, options: InviteOptions) => {
      const made = await client().call('inviteOperator', { body: invitationOf(name, options) })
      output().one(made, [
        ['operator', made.operator],
        ['good until', formatTime(made.notAfter)],
        ['on their machine', `touchmark --identity DIR operators join '${made.invitation}'`],
      ])
    })

  operators
    .command('join')
    .argument('<invitation>', 'touchmark://HOST:PORT/operators?pin=…#tm1.…')
    .description('become an operator: makes a key here, which never leaves this machine, and gets its certificate')
    .addHelpText('after', examples("operators join 'touchmark://fleet.example:8443/operators?pin=sha256:7l-T#tm1.a.b'"))
    .action(async (text: string) => {
      const { uri, secret } = parseInvitation(text)
      const folder = settings().identityFolder
      if (existsSync(join(folder, 'operator.key'))) {
        throw new CliError(
          'CANNOT_WRITE',
          `${folder} holds a credential already; choose another folder: --identity DIR`,
        )
      }
      const server = new URL(`https://${hostOf(uri)}:${uri.port}`)
      const ca = await fetchRoot(uri)
      const key = createOperatorKey()
      const body = { csr: await csrOf(key) }
      makeWritable(folder) // an invitation is good once: what cannot be kept is not asked for
      const issued = await new ApiClient(server, { ca }).call('joinOperator', { body, bearer: secret })
      keep(folder, { key, certificate: issued.certificate, ca: issued.ca, server: server.origin })
      output().one({ operator: issued.operator, notAfter: issued.notAfter, folder }, [
        ['operator', issued.operator],
        ['until', formatTime(issued.notAfter)],
        ['credential', folder],
      ])
    })

  operators
    .command('ls')
    .description('who may come in now, and who is invited')
    .addHelpText('after', examples('operators ls', 'operators ls -o wide'))
    .action(async () => output().list(await client().call('listOperators'), columns))

  operators
    .command('whoami')
    .description('who you are to the server, and what you may do')
    .addHelpText('after', examples('operators whoami'))
    .action(async () => {
      const own = await client().call('ownOperator')
      output().one(own, [
        ['operator', own.operator],
        ['until', formatTime(own.notAfter)],
        ['fingerprint', own.fingerprint],
        ...own.rules.map((rule) => [rule.id, describeRule(rule)] as const),
      ])
    })

  operators
    .command('revoke')
    .argument('<name-or-fingerprint>')
    .description('end all certificates of an operator and what invites him or others by him, or one certificate')
    .addHelpText('after', examples("operators revoke bob --comment 'has left'"))
    .option(...commentOption)
    .action(async (id: string, options: Act) => {
      const ended = await client().call('revokeOperator', { id, body: commented(options) })
      output().one(ended, [
        ['operator', ended.operator],
        ['certificates ended', String(ended.certificates)],
        ['invitations ended', String(ended.invitations)],
        ['recorded', ended.recorded ? 'yes' : 'not yet'],
      ])
      requireRecorded(ended, 'the revocation')
    })
}

function invitationOf(name: string, { ttl, valid, ...why }: InviteOptions): InviteOperatorRequest {
  return {
    operator: parseOperatorName(name),
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...(valid !== undefined && { validSeconds: valid }),
    ...commented(why),
  }
}

/** @throws CliError CANNOT_WRITE */
function makeWritable(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw cannotWrite(folder, cause)
  }
}

interface Kept {
  readonly key: string
  readonly certificate: string
  readonly ca: string
  readonly server: string
}

/** @throws CliError CANNOT_WRITE */
function keep(folder: string, { key, certificate, ca, server }: Kept): void {
  writeNamed(join(folder, 'operator.key'), key, 0o600)
  writeNamed(join(folder, 'operator.crt'), certificate, 0o600)
  writeNamed(join(folder, 'ca.crt'), ca)
  writeNamed(join(folder, 'server.url'), `${server}\n`)
}

function describeRule({ acts, labels, maxDevices }: OwnView['rules'][number]): string {
  const where = Object.keys(labels).length > 0 ? ` on ${formatLabels(labels)}` : ''
  return `${acts.join(' ')}${where}${maxDevices === undefined ? '' : `, at most ${maxDevices} devices at once`}`
}

function latest(those: readonly { readonly notAfter: string }[]): string {
  const last = those
    .map(({ notAfter }) => notAfter)
    .toSorted()
    .at(-1)
  return last === undefined ? '' : formatTime(last)
}

function hostOf({ host }: JoinUri): string {
  return host.includes(':') ? `[${host}]` : host
}
