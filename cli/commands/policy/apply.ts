import { basename } from 'node:path'
import type { Command } from 'commander'
import type { Act, ApplyPolicyAnswer, PolicyImpact } from '#protocol'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { readNamedText } from '../../named-files.js'
import type { Output } from '../../output.js'
import { work } from '../../work.js'
import { commentOption, parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { impactLines, losesSomething, printChanges } from './impact.js'

interface ApplyOptions extends Act {
  readonly dryRun?: true
  readonly decisions?: number
  readonly failOnLoss?: true
}

export function addApply(policy: Command, { client, output }: Context): void {
  policy
    .command('apply')
    .argument('<file>')
    .description('put a policy in force, at once and for live sessions too')
    .addHelpText(
      'after',
      examples(
        'policy apply policy.yaml --dry-run',
        'policy apply policy.yaml --dry-run --fail-on-loss --decisions 100000',
        "policy apply policy.yaml --comment 'ticket 4711'",
      ),
    )
    .option(...commentOption)
    .option('--dry-run', 'only check it, and say who would gain and who would lose')
    .option(
      '--decisions <n>',
      'with --dry-run: how many decisions of the log to ask again (default: 10000)',
      parseCount,
    )
    .option('--fail-on-loss', 'with --dry-run: exit with 8 where somebody would lose something')
    .action(async (file: string, options: ApplyOptions) => {
      const { comment, dryRun, decisions, failOnLoss } = options
      if (!dryRun && (decisions !== undefined || failOnLoss)) {
        throw new CliError('USAGE', '--decisions and --fail-on-loss go with --dry-run')
      }
      const candidate = { file: basename(file), source: readNamedText(file, 'a policy') }
      const before = await client().call('getPolicy')
      const query = { file: candidate.file, comment, ...(dryRun && { dryRun: 'true' }) }
      const answer = await client().call('applyPolicy', { query, text: candidate.source })
      const impact = dryRun && (await askImpact(client(), output(), { ...candidate, decisions }))
      print(output(), answer, impact)
      if (answer.hash === before.hash) output().note('This policy is in force already.')
      else if (dryRun) output().note('Nothing was changed (--dry-run).')
      if (impact && failOnLoss && losesSomething(impact)) {
        throw new CliError('CHECK_FAILED', `with this policy ${devicesOf(impact.devices.lose)} would lose something`)
      }
    })
}

function devicesOf(count: number): string {
  return count === 1 ? '1 device' : `${count} devices`
}

interface Candidate {
  readonly file: string
  readonly source: string
  readonly decisions: number | undefined
}

function askImpact(client: ApiClient, output: Output, { file, source, decisions }: Candidate): Promise<PolicyImpact> {
  const query = { file, ...(decisions !== undefined && { decisions: String(decisions) }) }
  return work(client, output, 'shadowPolicy', { query, text: source })
}

function print(output: Output, answer: ApplyPolicyAnswer, impact: PolicyImpact | undefined): void {
  const checked = [
    ['version', String(answer.version)],
    ['hash', answer.hash],
    ['tests passed', String(answer.tests.passed)],
  ] as const
  if (impact === undefined) return output.one(answer, [...checked, ['sessions checked', String(answer.sessions)]])
  if (output.format !== 'csv') output.one({ ...answer, impact }, [...checked, ...impactLines(impact)])
  if (output.isForPeople || output.format === 'csv') printChanges(output, impact)
}
