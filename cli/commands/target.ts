import { type Command, InvalidArgumentError } from 'commander'
import { type LockTarget, parseLockTarget } from '#protocol'
import { CliError } from '../errors.js'

/** How each target is named on the command line, and what it is called in its text form. */
const options = {
  device: ['--device <id>', 'one device'],
  labels: ['--labels <selector>', "every device with all of these, now or later: 'site=oslo,line=4'"],
  addresses: ['--address <range>', 'whoever comes from there: 192.0.2.0/24, 2001:db8::/32, or one address'],
  role: ['--role <name>', 'every device to which the policy gives this role'],
  ek: ['--ek <sha256>', 'the device with this TPM, by the SHA-256 of its EK'],
  token: ['--token <id>', 'what has joined with this token, or would'],
  instance: ['--instance <id>', 'one enrollment of a device'],
  profile: ['--profile <name>', 'everything of an enrollment profile'],
  issuer: ['--issuer <key>', 'every certificate that this CA key has signed: an authority key identifier'],
} as const

/** What `--address` gives is called after the option. */
type OptionName = Exclude<keyof typeof options, 'addresses'> | 'address'

export type TargetOptions = Partial<Readonly<Record<OptionName, LockTarget>>>

/** One option for each kind of target. */
export function addTargetOptions(
  command: Command,
  { without }: { readonly without?: keyof typeof options } = {},
): void {
  for (const [kind, [flags, description]] of Object.entries(options)) {
    if (kind === without) continue
    command.option(flags, description, (value: string) => parseTarget(kind, value))
  }
}

/** The one that was given. @throws CliError USAGE */
export function targetOf({
  device,
  labels,
  address,
  role,
  ek,
  token,
  instance,
  profile,
  issuer,
}: TargetOptions): LockTarget {
  const all = [device, labels, address, role, ek, token, instance, profile, issuer]
  const [target, ...others] = all.filter((one) => one !== undefined)
  if (target !== undefined && others.length === 0) return target
  const names = Object.values(options).map(([flags]) => flags.split(' ')[0])
  throw new CliError(
    'USAGE',
    `expected one of ${names.join(', ')}, got ${target === undefined ? 0 : others.length + 1}`,
  )
}

function parseTarget(kind: string, value: string): LockTarget {
  try {
    const isHex = kind === 'ek' || kind === 'issuer'
    return parseLockTarget(`${kind}:${isHex ? value.toLowerCase().replaceAll(':', '') : value}`) // as openssl writes it, too
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : 'not understood')
  }
}
