import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { keepOf, type Retain, survey } from '#audit'
import { parseByteSize, ProtocolError } from '#protocol'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { formatBytes, parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { requireLogFolder } from './log-folder.js'

interface PruneCommandOptions extends Retain {
  readonly dryRun?: true
}

export function addPrune(audit: Command, { output, settings }: Context): void {
  audit
    .command('prune')
    .argument('[dir]', 'folder of a log (default: the audit folder in the data folder)')
    .option('--dry-run', 'only say what would go; the server alone removes records')
    .option('--days <n>', 'records older than this would go', parseCount)
    .option('--bytes <size>', 'what records may take on disk, such as 50GB', byteSize)
    .description('say which records would go with these bounds as audit.retain in touchmark.yaml; offline')
    .addHelpText('after', examples('audit prune --dry-run --days 400', 'audit prune --dry-run --bytes 50GB'))
    .action(async (folder: string | undefined, { dryRun, days, bytes }: PruneCommandOptions) => {
      if (!dryRun)
        throw new CliError('USAGE', 'expected --dry-run: the server removes records, by audit.retain in touchmark.yaml')
      if (days === undefined && bytes === undefined) throw new CliError('USAGE', 'expected --days, --bytes, or both')
      await prune(output(), folder ?? join(settings().dataFolder, 'audit'), { days, bytes })
    })
}

async function prune(output: Output, folder: string, retain: Retain): Promise<void> {
  const found = await survey(requireLogFolder(folder), keepOf(retain, Date.now()))
  const { minimumIndex, prunable } = found
  output.one(found, [
    ['kept from', String(minimumIndex)],
    ['on disk', formatBytes(found.bytes)],
    ['would be kept from', String(prunable?.to ?? minimumIndex)],
    ['would go', prunable ? `${prunable.to - minimumIndex} records, ${formatBytes(prunable.bytes)}` : 'nothing'],
  ])
  output.note('Nothing was changed (--dry-run).')
}

function byteSize(text: string): number {
  try {
    return parseByteSize(text)
  } catch (error) {
    if (error instanceof ProtocolError) throw new InvalidArgumentError(error.message)
    throw error
  }
}
