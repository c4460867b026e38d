import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { CodedError, type Labels } from '#protocol'
import type { EkTemplateName } from '#tpm'
import type { DoctorOptions } from './doctor-command.js'
import type { EkOptions } from './ek-command.js'
import type { EnrollOptions } from './enroll-command.js'
import { exitCodeOf, usageExitCode } from './exit-codes.js'
import type { JoinOidcOptions } from './oidc/join-oidc-command.js'
import type { OutputsOptions } from './outputs-command.js'
import type { RunOptions } from './run-command.js'
import { usualSettingsFile } from './settings/usual-file.js'
import type { ServicesOptions } from './services-command.js'
import type { StatusOptions } from './status-command.js'
import type { Surroundings } from './surroundings.js'
import type { PublishOptions, Qos, SubscribeOptions } from './talk-command.js'

/** `touchmark-agent`: reads the command line, runs one command, and resolves to the exit code. */
export async function main(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const program = createProgram(surroundings)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode
    surroundings.err(describe(error))
    return exitCodeOf(error)
  }
}

function createProgram(surroundings: Surroundings): Command {
  const program = new Command('touchmark-agent')
    .description('Gives this device an identity, keeps it alive, and speaks MQTT with it.')
    .version(surroundings.version, '--version', 'version of this program')
    .addHelpText('after', gettingStarted)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.out(text.trimEnd()),
      writeErr: (text) => surroundings.err(text.trimEnd()),
    })
    .showHelpAfterError('(see touchmark-agent --help)')
  const folder = (): Option =>
    new Option('--data <DIR>', 'the state folder').env('TOUCHMARK_AGENT_DATA').default(defaultFolder(surroundings))
  const config = (): Option =>
    new Option('--config <FILE>', `settings as JSON (TOUCHMARK_CONFIG; default: ${usualSettingsFile}, where it is)`)
  const output = (): Option =>
    new Option('-o, --output <FORM>', 'how to print').choices(['text', 'json']).default('text')

  const qos = (): Option =>
    new Option('--qos <QOS>', '0 at most once, 1 at least once, 2 exactly once').default(1).argParser(asQos)

  program
    .command('enroll')
    .description('Join a Touchmark service: make a key, ask for a certificate, keep both in the state folder.')
    .option('--join <URI>', 'where to join: touchmark://HOST:PORT/PROFILE?pin=sha256:…, as the service prints it')
    .option('--token <TOKEN>', 'a join token (tm1.…); others can see it in the process list')
    .option(
      '--token-file <FILE>',
      'a file that holds the join token, and is removed when it has served; - reads it from standard input',
    )
    .option('--tpm <TPM>', 'prove a TPM and keep the key in it: /dev/tpmrm0, swtpm:PATH or swtpm:HOST:PORT')
    .addOption(ekOption())
    .option(
      '--pcrs <LIST>',
      'with --tpm: quote these PCRs, for example 0,2,4,7 (default: those that the service asks for)',
    )
    .option('--event-log <FILE>', 'with --tpm: what the firmware has measured, where Linux does not show it by itself')
    .addOption(
      new Option(
        '--binding <HOW>',
        'with --tpm: tie the proof to the TLS connection (the default), or to a nonce where a proxy ends TLS',
      ).choices(['exporter', 'nonce']),
    )
    .addOption(
      new Option('--wait <SECONDS>', 'how long to ask again where an operator has to approve this device')
        .default(600)
        .argParser(seconds),
    )
    .option('--again', 'join with a new key although this device has joined before', false)
    .addOption(config())
    .addOption(folder())
    .addOption(output())
    .addHelpText('after', enrollExamples)
    .action(async (options: EnrollOptions) =>
      (await import('./enroll-command.js')).enrollCommand(options, surroundings),
    )

  program
    .command('join-oidc')
    .description(
      'In a CI job: join simulated devices with the job’s OIDC token. Without one, print what it is to be made for.',
    )
    .requiredOption('--join <URI>', 'where to join: touchmark://HOST:PORT/PROFILE?pin=sha256:…')
    .requiredOption('--out <DIR>', 'a folder for each device is made in this one: 0, 1, 2 …')
    .option('--count <N>', 'how many, at most 1000', simulatorCount, 1)
    .option('--token-command <CMD>', 'a shell command that prints a token for $TOUCHMARK_AUDIENCE')
    .addOption(output())
    .addHelpText('after', joinOidcNotes)
    .action(async (options: JoinOidcOptions) =>
      (await import('./oidc/join-oidc-command.js')).joinOidcCommand(options, surroundings),
    )

  program
    .command('ek')
    .description('Print the SHA-256 of the TPM’s endorsement key, by which an operator can make this device known.')
    .requiredOption('--tpm <TPM>', '/dev/tpmrm0, swtpm:PATH or swtpm:HOST:PORT')
    .addOption(ekOption())
    .addOption(output())
    .action(async (options: EkOptions) => (await import('./ek-command.js')).ekCommand(options, surroundings))

  program
    .command('run')
    .description('Stay connected to the broker and renew the certificate in time, until stopped (SIGTERM, Ctrl-C).')
    .option('--join <URI>', 'where to join, as for enroll, if this device never has')
    .option('--token-file <FILE>', 'a file that holds the join token, as for enroll')
    .option('--tpm <TPM>', 'the TPM to join with, as for enroll')
    .option(
      '--announce <TOPIC>',
      'publish {"online":true} here, retained, and false as the will; {id} is the device id',
    )
    .addOption(
      new Option(
        '--rotate-key <WHEN>',
        'whether renewals make a fresh key (default: always for one in a file, never for one in a TPM)',
      ).choices(['always', 'never']),
    )
    .option(
      '--bridge <WHERE>',
      'let programs of this device speak plain MQTT at 127.0.0.1:PORT or unix:PATH; they need no credential there',
    )
    .option('--bridge-mode <MODE>', 'permissions of the unix socket (default: 0660)')
    .option('--bridge-group <GROUP>', 'its group (default: that of the agent)')
    .addOption(config())
    .addOption(folder())
    .addHelpText('after', runNotes)
    .action(async (options: RunOptions) => (await import('./run-command.js')).runCommand(options, surroundings))

  program
    .command('publish')
    .description('Publish messages and wait until the broker has acknowledged each.')
    .argument('<TOPIC>')
    .argument('[MESSAGE]', 'one message; - reads it from standard input')
    .option('--lines', 'publish each line of standard input as a message, over one connection, until it ends', false)
    .addOption(qos())
    .option('--retain', 'keep it for those who subscribe later', false)
    .addOption(folder())
    .action(async (topic: string, message: string | undefined, options: PublishOptions) =>
      (await import('./talk-command.js')).publishCommand(topic, message, options, surroundings),
    )

  program
    .command('subscribe')
    .description('Print the messages that arrive on a topic filter, one a line.')
    .argument('<FILTER>')
    .addOption(qos())
    .option('--count <N>', 'end after so many messages', wholeNumber)
    .option('--timeout <SECONDS>', 'end after so long; with --count an error when too few have arrived', wholeNumber)
    .addOption(folder())
    .addOption(output())
    .action(async (filter: string, options: SubscribeOptions) =>
      (await import('./talk-command.js')).subscribeCommand(filter, options, surroundings),
    )

  program
    .command('services')
    .description('Print the services of other devices that the policy lets this device see, one a line.')
    .option('--label <NAME=VALUE>', 'of devices that have this label; can be repeated', asLabel)
    .option('--service <NAME>', 'with this name; a * at the end stands for any end')
    .option('--protocol <NAME>', 'of this protocol, the same')
    .addOption(folder())
    .addOption(output())
    .addHelpText('after', servicesNotes)
    .action(async (options: ServicesOptions) =>
      (await import('./services-command.js')).servicesCommand(options, surroundings),
    )

  program
    .command('outputs')
    .description(
      'Write key and certificates now where the settings want them for other programs; run does so by itself.',
    )
    .addOption(
      new Option('--print <KIND>', 'print what another program’s settings could say, and write nothing').choices([
        'mosquitto',
        'paho',
      ]),
    )
    .option(
      '--pem <DIR>',
      'with --print: where that program finds key.pem, cert.pem and ca.pem',
      '/etc/mosquitto/touchmark',
    )
    .addOption(config())
    .addOption(folder())
    .action(async (options: OutputsOptions) =>
      (await import('./outputs-command.js')).outputsCommand(options, surroundings),
    )

  program
    .command('status')
    .description('Show who this device is, how long its certificate lasts, and whether an agent is connected.')
    .option('--healthy', 'exit with 8 where it is not connected, or something is to be mended', false)
    .addOption(folder())
    .addOption(output())
    .action(async (options: StatusOptions) =>
      (await import('./status-command.js')).statusCommand(options, surroundings),
    )

  program
    .command('doctor')
    .description('Say what this device’s identity rests on, and what must be mended: one line each, ok, warn or fail.')
    .option('--tpm <TPM>', 'default: the TPM of the key, or /dev/tpmrm0')
    .option('--join <URI>', 'look at the service that this device is to join')
    .option('--build-addon', 'first build the addon with which TLS uses a key inside a TPM', false)
    .addOption(folder())
    .addOption(output())
    .addHelpText('after', '\nExits with 8 when a line says fail.')
    .action(async (options: DoctorOptions) =>
      (await import('./doctor-command.js')).doctorCommand(options, surroundings),
    )

  return program
}

function ekOption(): Option {
  return new Option('--ek <TEMPLATE>', 'which endorsement key (default: the best that its maker vouches for)').choices(
    ekTemplates,
  )
}

/** Said here so that the parser of the command line need not load the TPM room. */
const ekTemplates: readonly EkTemplateName[] = ['ecc-p384', 'ecc-p256', 'rsa-3072', 'rsa-2048']

const gettingStarted = `
A device's way:
  touchmark-agent enroll --join 'touchmark://HOST:8443/default?pin=sha256:…' --token-file token
  touchmark-agent run

Exit codes: 0 ok, 1 error, 2 usage, 3 not enrolled or not found, 4 denied, 5 conflict, 6 unreachable, 8 a check failed,
9 an operator has not decided yet.`

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number from 1 on')
}

function seconds(text: string): number {
  return text === '0' ? 0 : wholeNumber(text)
}

function simulatorCount(text: string): number {
  const count = wholeNumber(text)
  if (count <= 1000) return count
  throw new InvalidArgumentError('expected at most 1000')
}

function asQos(text: string): Qos {
  if (text === '0' || text === '1' || text === '2') return text === '0' ? 0 : text === '1' ? 1 : 2
  throw new InvalidArgumentError('expected 0, 1 or 2')
}

function asLabel(text: string, known: Labels = {}): Labels {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new InvalidArgumentError('expected NAME=VALUE')
  return { ...known, [name]: value }
}

const servicesNotes = `
Example:
  touchmark-agent services --label site=oslo --service 'opc*' -o json

What this device offers itself stands in its settings: {"facts": {"service.opcua": "4840/tcp"}}.`

const runNotes = `
A device that never joined does so first, where command line, environment, credentials or settings say where and with
what (see "enroll --help"), and tries until it is let in.

Writes one line per event to standard error, and what it is doing to DIR/status.json. A lost connection is tried again
after 1 s, then later and later up to 60 s, with chance in it; a renewal after 10 s up to 15 min.`

const joinOidcNotes = `
The token is taken from TOUCHMARK_ID_TOKEN, or from what the command prints. Doing it again is safe: the same keys get
the same devices, which live for an hour at most and are not renewed.`

const enrollExamples = `
Examples:
  touchmark-agent enroll --join 'touchmark://fleet.example:8443/default?pin=sha256:…' --token tm1.k3v9.…
  touchmark-agent enroll --join 'touchmark://fleet.example:8443/default?pin=sha256:…' --tpm /dev/tpmrm0

Each of these can be said by the command line, by TOUCHMARK_JOIN, TOUCHMARK_TOKEN, TOUCHMARK_TOKEN_FILE and TOUCHMARK_TPM, by
the systemd credentials touchmark.join and touchmark.token, or by the settings; those that say one must agree.
The token is removed from files when the certificate is on disk.

Doing it again is safe: an interrupted enrollment goes on with the same key, a finished one is left alone.
Afterwards key, certificate and trust bundle are in DIR/current as key.pem, cert.pem and ca.pem (with --tpm the
key stays in the TPM, and key.tpm opens there only).`

function defaultFolder({ environment, home }: Surroundings): string {
  if (home === '/root' || home === '') return '/var/lib/touchmark-agent'
  return `${environment['XDG_STATE_HOME'] ?? `${home}/.local/state`}/touchmark-agent`
}

function describe(error: unknown): string {
  if (error instanceof CodedError) return `touchmark-agent: ${error.message} [${error.code}]`
  return `touchmark-agent: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}
