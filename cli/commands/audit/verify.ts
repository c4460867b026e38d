import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { verifyLog } from '#audit'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { interruptible } from '../../interrupt.js'
import { readNamedText } from '../../named-files.js'
import type { Output } from '../../output.js'
import { collect, parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { requireLogFolder } from './log-folder.js'
import { readVerifierKeys, verifierKeyOption } from './verifier-keys.js'
import { verifyProof } from './verify-proof.js'
import { askWitnesses, witnessKeyOption } from './witnesses.js'

interface VerifyCommandOptions {
  readonly vkey: readonly string[]
  readonly witnessVkey: readonly string[]
  readonly against: readonly string[]
  readonly proof?: string
  readonly payload?: string
  readonly disclosure?: string
  readonly threads?: number
}

export function addVerify(audit: Command, { output, settings }: Context): void {
  audit
    .command('verify')
    .argument('[dir]', 'folder of a log (default: the audit folder in the data folder)')
    .addOption(new Option(...verifierKeyOption).argParser(collect).default([], 'the one in the data folder'))
    .addOption(new Option(...witnessKeyOption).argParser(collect).default([], 'none'))
    .addOption(
      new Option(
        '--against <file>',
        'an older checkpoint, kept elsewhere, that the log must begin with; can be repeated',
      )
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--proof <file>', 'check the proof of one record instead, and show the record')
    .option('--payload <file>', 'with --proof: whether this is what the message said')
    .option('--disclosure <file>', 'with --payload: what "audit payload N --disclose -o json" wrote of that record')
    .option('--threads <n>', 'how many may work at a time (default: one for each core)', parseCount)
    .description('check every record and the signature, offline, with nothing but the folder and the key')
    .addHelpText(
      'after',
      examples(
        'audit verify',
        'audit verify ./copy-of-audit --vkey ./audit.vkey',
        'audit verify ./copy-of-audit --vkey ./audit.vkey --witness-vkey ./witness.vkey',
        'audit verify --against ./checkpoint.monday --against ./checkpoint.tuesday',
        'audit verify --proof 4711.tlog-proof --vkey ./audit.vkey',
        'audit verify --proof 4711.tlog-proof --vkey ./audit.vkey --payload reading.bin --disclosure 4711.json',
      ),
    )
    .addHelpText('after', '\nExit codes: 0 as signed; 8 not as signed; 1 cannot be read; 2 bad usage; 130 interrupted.')
    .action(async (folder: string | undefined, options: VerifyCommandOptions) => {
      const { vkey, witnessVkey: witnessKeys, against, proof, payload, disclosure, threads } = options
      const verifierKeys = readVerifierKeys(vkey, settings())
      if (proof !== undefined) {
        requireNoLog(folder, options)
        return verifyProof(output(), { proof, payload, disclosure }, verifierKeys)
      }
      if (payload !== undefined || disclosure !== undefined) {
        throw new CliError('USAGE', '--payload and --disclosure go with --proof: a payload is held against one record')
      }
      const older = against.map((file) => ({ file, note: readNamedText(file, 'a checkpoint that was kept') }))
      await verify(output(), folder ?? join(settings().dataFolder, 'audit'), {
        verifierKeys,
        witnessKeys,
        older,
        threads,
      })
    })
}

/** A proof is checked without the log. @throws CliError USAGE */
function requireNoLog(folder: string | undefined, options: VerifyCommandOptions): void {
  const { against, witnessVkey, threads } = options
  const given = [
    ...(folder === undefined ? [] : [`folder (${folder})`]),
    ...(against.length === 0 ? [] : ['--against']),
    ...(witnessVkey.length === 0 ? [] : ['--witness-vkey']),
    ...(threads === undefined ? [] : ['--threads']),
  ]
  if (given.length === 0) return
  throw new CliError('USAGE', `--proof checks one record by itself, without a log: expected no ${given.join(', no ')}`)
}

interface Asked {
  readonly verifierKeys: readonly string[]
  readonly witnessKeys: readonly string[]
  readonly older: readonly { readonly file: string; readonly note: string }[]
  readonly threads: number | undefined
}

async function verify(output: Output, folder: string, asked: Asked): Promise<void> {
  const { verifierKeys, witnessKeys, older, threads } = asked
  requireLogFolder(folder)
  const against = older.map(({ note }) => note)
  const report = await withProgress(output, (watched) =>
    verifyLog(folder, verifierKeys, { ...watched, against, ...(threads !== undefined && { threads }) }),
  )
  const witnesses = await askWitnesses(folder, witnessKeys)
  const { ok, size, root, firstBad, uncovered, gone } = report
  const compared = report.against.map(
    ({ outcome, what }, at) => [older[at]?.file ?? '', `${outcome}: ${what}`] as const,
  )
  if (ok && output.isForPeople) {
    const counts = [size, uncovered, gone].map((count) => count.toLocaleString('en'))
    const hashes = gone === 0 ? '' : `, of the first ${counts[2]} only the hashes are kept`
    output.line(
      `ok: ${counts[0]} records, root ${root}, signed by ${nameOf(verifierKeys)}, ${counts[1]} not yet covered${hashes}`,
    )
    for (const [name, says] of [...compared, ...witnesses.lines]) output.line(`${name}: ${says}`)
  } else {
    output.one({ ...report, ...witnesses.report }, [
      ['log', firstBad ? 'NOT as it was signed' : 'as it was signed'],
      ['records', String(size)],
      ['only hashes', gone > 0 ? `the first ${gone}` : undefined],
      ['root', root],
      ['not yet covered', String(uncovered)],
      ['first bad', firstBad && `record ${firstBad.index}: ${firstBad.what}`],
      ...compared,
      ...witnesses.lines,
    ])
  }
  if (firstBad) throw new CliError('CHECK_FAILED', `${folder} is not the log that was signed with this key`)
  if (!ok) throw new CliError('CHECK_FAILED', `${folder} does not go on from each of the older checkpoints`)
  if (witnesses.silent.length > 0)
    throw new CliError('CHECK_FAILED', `${witnesses.silent.join(' and ')} did not vouch for ${folder}`)
}

interface Watched {
  readonly onProgress: (checked: number, size: number) => void
  readonly signal: AbortSignal
}

/** Shows how far it is; the first Ctrl-C ends it and says how far it came. */
async function withProgress<Result>(output: Output, work: (watched: Watched) => Promise<Result>): Promise<Result> {
  const progress = output.progress()
  let reached = { checked: 0, size: 0 }
  const onProgress = (checked: number, size: number): void => {
    reached = { checked, size }
    progress.update(checked, size)
  }
  const soFar = () => `interrupted after ${reached.checked} of ${reached.size} records, of which none was damaged`
  try {
    return await interruptible(soFar, ({ signal }) => work({ onProgress, signal }))
  } finally {
    progress.end()
  }
}

function nameOf([verifierKey = '']: readonly string[]): string {
  return verifierKey.slice(0, verifierKey.indexOf('+'))
}
