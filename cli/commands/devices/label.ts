import type { Command } from 'commander'
import type { Act, DeviceView, Labels } from '#protocol'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Column, Output } from '../../output.js'
import { commentOption, formatLabels, parseLabels } from '../arguments.js'
import { examples } from '../examples.js'
import { listOf } from './ls.js'
import { showDevice } from './show.js'

interface LabelOptions extends Act {
  readonly query?: string
  readonly dryRun?: true
}

/** A device, and the labels that it is to have. */
interface Change {
  readonly id: string
  readonly before: Labels
  readonly labels: Labels
}

const columns: readonly Column<Change>[] = [
  { name: 'id', of: ({ id }) => id },
  { name: 'labels', of: ({ before }) => formatLabels(before) },
  { name: 'would be', of: ({ labels }) => formatLabels(labels) },
]

export function addLabel(devices: Command, { client, output }: Context): void {
  devices
    .command('label')
    .usage('[options] <id> <key=value...>\n       touchmark devices label [options] --query <query> <key=value...>')
    .argument('<words...>', 'the id of a device, unless a query finds them; then the labels')
    .description('set labels; KEY= takes one away, and those that are not named stay')
    .addHelpText(
      'after',
      examples(
        'devices label pump-7 site=oslo role=gateway',
        "devices label pump-7 role= --comment 'gateway-2 does it now'",
        "devices label --query 'label.site=oslo model:RX-*' line=9 --dry-run",
      ),
    )
    .option('-q, --query <query>', 'every device that it finds, as "devices ls --query" does')
    .option('--dry-run', 'only say what it would change')
    .option(...commentOption)
    .action(async (words: readonly string[], { query, dryRun, comment }: LabelOptions) => {
      const api = client()
      const [id = '', ...pairs] = query === undefined ? words : ['', ...words]
      const changes = parseLabels(pairs)
      const found = query === undefined ? [await api.call('getDevice', { id })] : await findAll(api, query)
      const planned = found.flatMap((device) => changeOf(device, changes))
      if (dryRun) {
        output().list(planned, columns)
        return output().note('Nothing was changed (--dry-run).')
      }
      const labelled = await apply(api, output(), planned, comment)
      if (query === undefined) return showDevice(output(), labelled[0] ?? (await api.call('getDevice', { id })))
      output().one({ found: found.length, labelled: labelled.length }, [
        ['found', String(found.length)],
        ['labelled', String(labelled.length)],
        ['as they were', String(found.length - labelled.length)],
      ])
    })
}

async function findAll(client: ApiClient, query: string): Promise<readonly DeviceView[]> {
  if (query.trim() !== '') return listOf(client, { query })
  throw new CliError('USAGE', 'expected a query that says which devices, such as label.site=oslo; this one is empty')
}

/** Nothing where it has them already: a record that says nothing new is none. */
function changeOf({ id, labels: before }: DeviceView, changes: Labels): readonly Change[] {
  const labels = Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== ''))
  const isNew = Object.entries(changes).some(([name, value]) => (before[name] ?? '') !== value)
  return isNew ? [{ id, before, labels }] : []
}

/** One after the other; stops at the first that is refused. The server replaces all labels of a device at once. */
async function apply(
  client: ApiClient,
  output: Output,
  planned: readonly Change[],
  comment: string | undefined,
): Promise<readonly DeviceView[]> {
  const progress = output.progress('devices')
  const labelled: DeviceView[] = []
  try {
    for (const { id, labels } of planned) {
      labelled.push(await client.call('labelDevice', { id, query: { comment }, body: labels }))
      progress.update(labelled.length, planned.length)
    }
    return labelled
  } catch (cause) {
    if (labelled.length === 0) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    const { id } = planned[labelled.length] ?? {}
    throw new CliError('PARTLY_DONE', `${labelled.length} of ${planned.length} were labelled, then ${id}: ${why}`, {
      cause,
    })
  } finally {
    progress.end()
  }
}
