import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { verifyLog } from '#audit'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { examples } from '../examples.js'
import { readVerifierKey } from '../verifier-key.js'
import { askWitnesses, witnessKeyOption } from './witnesses.js'

interface VerifyCommandOptions {
  readonly vkey?: string
  readonly witnessVkey: readonly string[]
}

export function addVerify(audit: Command, { output, settings }: Context): void {
  const collect = (value: string, previous: readonly string[]) => [...previous, value]
  audit
    .command('verify')
    .argument('[dir]', 'folder of a log (default: the audit folder in the data folder)')
    .option('--vkey <key>', 'verifier key, or a file that holds it (default: the one in the data folder)')
    .addOption(new Option(...witnessKeyOption).argParser(collect).default([], 'none'))
    .description('check every record and the signature, offline, with nothing but the folder and the key')
    .addHelpText(
      'after',
      examples(
        'audit verify',
        'audit verify ./copy-of-audit --vkey ./audit.vkey',
        'audit verify ./copy-of-audit --vkey ./audit.vkey --witness-vkey ./witness.vkey',
      ),
    )
    .action(async (folder: string | undefined, { vkey, witnessVkey }: VerifyCommandOptions) => {
      const { dataFolder, identityFolder } = settings()
      const key = readVerifierKey(vkey ?? join(identityFolder, 'audit.vkey'))
      await verify(output(), folder ?? join(dataFolder, 'audit'), key, witnessVkey)
    })
}

async function verify(
  output: Output,
  folder: string,
  verifierKey: string,
  witnessKeys: readonly string[],
): Promise<void> {
  if (!existsSync(folder)) throw new CliError('CANNOT_READ', `there is no log in ${folder}`)
  const report = await verifyLog(folder, verifierKey)
  const witnesses = await askWitnesses(folder, witnessKeys)
  const { ok, size, root, firstBad, uncovered } = report
  const people = output.format === 'table' || output.format === 'wide'
  if (ok && people) {
    const [signer = ''] = verifierKey.split('+', 1)
    const counts = [size, uncovered].map((count) => count.toLocaleString('en'))
    output.line(`ok: ${counts[0]} records, root ${root}, signed by ${signer}, ${counts[1]} not yet covered`)
    for (const [name, says] of witnesses.lines) output.line(`${name}: ${says}`)
  } else {
    output.one({ ...report, ...witnesses.report }, [
      ['log', ok ? 'as it was signed' : 'NOT as it was signed'],
      ['records', String(size)],
      ['root', root],
      ['not yet covered', String(uncovered)],
      ['first bad', firstBad && `record ${firstBad.index}: ${firstBad.what}`],
      ...witnesses.lines,
    ])
  }
  if (!ok) throw new CliError('CHECK_FAILED', `${folder} is not the log that was signed with this key`)
  if (witnesses.silent.length > 0)
    throw new CliError('CHECK_FAILED', `${witnesses.silent.join(' and ')} did not vouch for ${folder}`)
}
