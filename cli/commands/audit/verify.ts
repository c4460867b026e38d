import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { verifyLog } from '#audit'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { examples } from '../examples.js'
import { readVerifierKey } from '../verifier-key.js'

export function addVerify(audit: Command, { output, settings }: Context): void {
  audit
    .command('verify')
    .argument('[dir]', 'folder of a log (default: the audit folder in the data folder)')
    .option('--vkey <key>', 'verifier key, or a file that holds it (default: the one in the data folder)')
    .description('check every record and the signature, offline, with nothing but the folder and the key')
    .addHelpText('after', examples('audit verify', 'audit verify ./copy-of-audit --vkey ./audit.vkey'))
    .action(async (folder: string | undefined, { vkey }: { vkey?: string }) => {
      const { dataFolder, identityFolder } = settings()
      const key = readVerifierKey(vkey ?? join(identityFolder, 'audit.vkey'))
      await verify(output(), folder ?? join(dataFolder, 'audit'), key)
    })
}

async function verify(output: Output, folder: string, verifierKey: string): Promise<void> {
  if (!existsSync(folder)) throw new CliError('CANNOT_READ', `there is no log in ${folder}`)
  const report = await verifyLog(folder, verifierKey)
  const { ok, size, root, firstBad, uncovered } = report
  const people = output.format === 'table' || output.format === 'wide'
  if (ok && people) {
    const [signer = ''] = verifierKey.split('+', 1)
    const counts = [size, uncovered].map((count) => count.toLocaleString('en'))
    output.line(`ok: ${counts[0]} records, root ${root}, signed by ${signer}, ${counts[1]} not yet covered`)
  } else {
    output.one(report, [
      ['log', ok ? 'as it was signed' : 'NOT as it was signed'],
      ['records', String(size)],
      ['root', root],
      ['not yet covered', String(uncovered)],
      ['first bad', firstBad && `record ${firstBad.index}: ${firstBad.what}`],
    ])
  }
  if (!ok) throw new CliError('CHECK_FAILED', `${folder} is not the log that was signed with this key`)
}
