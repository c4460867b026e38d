import type { Command } from 'commander'
import {
  type Act,
  type CreateTokenRequest,
  type Fingerprint,
  type Labels,
  parseDeviceId,
  parseProfileName,
  type TokenView,
} from '#protocol'
import type { Context } from '../context.js'
import type { Column } from '../output.js'
import { examples } from './examples.js'
import {
  collect,
  commented,
  commentOption,
  formatLabels,
  formatTime,
  parseCount,
  parseDuration,
  parseHash,
  parseLabel,
} from './arguments.js'

const columns: readonly Column<TokenView>[] = [
  { name: 'id', of: (token) => token.id },
  { name: 'state', of: (token) => token.state },
  { name: 'device', of: (token) => token.device ?? '' },
  { name: 'used', of: (token) => `${token.uses.spent}/${token.uses.allowed}` },
  { name: 'until', of: (token) => formatTime(token.notAfter) },
  { name: 'profile', of: (token) => token.profile, wide: true },
  { name: 'labels', of: (token) => formatLabels(token.labels) },
  { name: 'bound to', of: boundTo, wide: true },
]

interface CreateOptions extends Act {
  readonly device?: string
  readonly profile?: string
  readonly label?: Labels
  readonly ekHash?: Fingerprint
  readonly from?: readonly string[]
  readonly uses?: number
  readonly ttl?: number
}

export function addTokens(program: Command, { client, output }: Context): void {
  const tokens = program.command('tokens').description('tokens that let a device join once')

  tokens
    .command('create')
    .description('make a token; it is shown once')
    .addHelpText(
      'after',
      examples(
        'tokens create',
        'tokens create --device pump-7 --label site=oslo --ttl 2h',
        'tokens create --uses 50 --ttl 1d --from 10.20.0.0/16',
      ),
    )
    .option('--device <id>', 'the only device id it can make (default: the server names the device)')
    .option('--profile <name>', 'enrollment profile')
    .option('--label <key=value>', 'label the device gets; can be repeated', parseLabel)
    .option('--ek-hash <sha256>', 'the only TPM that may join with it: SHA-256 of its EK, in hex', parseHash)
    .option('--from <network>', 'where the device has to come from (192.0.2.0/24); can be repeated', collect)
    .option('--uses <n>', 'how many devices may join with it (default 1)', parseCount)
    .option('--ttl <duration>', 'how long it is good, such as 30m or 7d (default 1h)', parseDuration)
    .option(...commentOption)
    .action(async (options: CreateOptions) => {
      const made = await client().call('createToken', { body: tokenRequest(options) })
      output().one(made, [
        ['token', made.token],
        ['until', formatTime(made.notAfter)],
        ['join', made.joinUri],
        ['on the device', `touchmark-agent enroll --join '${made.joinUri}' --token ${made.token}`],
      ])
    })

  tokens
    .command('ls')
    .description('every token and what became of it')
    .addHelpText('after', examples('tokens ls', 'tokens ls -o wide'))
    .action(async () => output().list(await client().call('listTokens'), columns))

  tokens
    .command('revoke')
    .argument('<id>')
    .description('make a token useless')
    .addHelpText('after', examples("tokens revoke 3fa7d66a60750aed --comment 'was sent to the wrong site'"))
    .option(...commentOption)
    .action(async (id: string, { comment }: Act) => {
      const token = await client().call('revokeToken', { id, query: { comment } })
      output().one(token, [
        ['token', token.id],
        ['state', token.state],
      ])
    })
}

function boundTo({ ekHash, addresses = [] }: TokenView): string {
  return [...(ekHash === undefined ? [] : [`ek ${ekHash}`]), ...addresses].join(', ')
}

function tokenRequest({ device, profile, label, ekHash, from, uses, ttl, ...why }: CreateOptions): CreateTokenRequest {
  return {
    ...(device !== undefined && { device: parseDeviceId(device) }),
    ...(profile !== undefined && { profile: parseProfileName(profile) }),
    ...(label !== undefined && { labels: label }),
    ...(ekHash !== undefined && { ekHash }),
    ...(from !== undefined && { addresses: from }),
    ...(uses !== undefined && { uses }),
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...commented(why),
  }
}
