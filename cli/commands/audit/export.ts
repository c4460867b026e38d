import { createHash } from 'node:crypto'
import { type Command, Option } from 'commander'
import type { AuditQuery, QueryParameters } from '#audit'
import type { ApiClient } from '../../client.js'
import type { Context } from '../../context.js'
import { readCredential } from '../../credential.js'
import { ServerRefusal } from '../../errors.js'
import { type Encoding, encodingOf, type ExportFormat, exportFormats } from '../../export/formats.js'
import { PartFile } from '../../export/part-file.js'
import type { Output } from '../../output.js'
import { examples } from '../examples.js'
import { addQuery, type QueryOptions, readQuery } from './query.js'
import { parseRecord } from './record.js'

interface ExportOptions extends QueryOptions {
  readonly format: ExportFormat
  readonly out?: string
}

/** So much is written at a time. */
const pieceLength = 64 * 1024

export function addExport(audit: Command, { client, output, settings }: Context): void {
  addQuery(audit.command('export'), { order: 'oldest', limit: 'all' })
    .description('records that match all that is given, for other programs, oldest first')
    .addOption(
      new Option('--format <format>', 'how a record is written, one a line; -o has no say in it')
        .choices(exportFormats)
        .default('ndjson'),
    )
    .option('--out <file>', 'a file, written whole or not at all; the same command goes on where one was broken off')
    .addHelpText(
      'after',
      examples(
        'audit export --out log.ndjson',
        'audit export --format csv --out denied.csv decision:deny since:30d',
        'audit export --format cloudevents device:pump-7 | send-to-siem',
      ),
    )
    .action(async (words: readonly string[], { format, out, ...options }: ExportOptions) => {
      const { parameters, query } = readQuery(words, options)
      const { checkpoint } = await client().call('auditCheckpoint')
      const encoding = encodingOf(format, checkpoint.split('\n', 1)[0] ?? '')
      const asked = query.order === undefined ? { ...parameters, order: 'oldest' } : parameters
      const what: Export = { client: client(), output: output(), encoding, query, parameters: asked }
      if (out === undefined) await toStdout(what)
      else await toFile(what, out, kindOf(format, parameters, readCredential(settings().identityFolder).ca))
    })
}

interface Export {
  readonly client: ApiClient
  readonly output: Output
  readonly encoding: Encoding
  readonly query: AuditQuery
  readonly parameters: QueryParameters
}

async function toStdout(what: Export): Promise<void> {
  const { output, encoding } = what
  if (encoding.header !== undefined) output.text(encoding.header)
  for await (const { lines } of pieces(what)) output.text(lines.join('\n'))
}

async function toFile(what: Export, path: string, kind: string): Promise<void> {
  const { output, encoding, parameters } = what
  const file = await PartFile.open(path, kind)
  try {
    const after = await whereLeft(file, what)
    if (after !== undefined) output.note(`Going on with ${file.path} behind record ${after}.`)
    else if (encoding.header !== undefined) await file.append(`${encoding.header}\n`)
    const rest = after === undefined ? parameters : { ...parameters, after: String(after) }
    let count = 0
    for await (const { lines } of pieces({ ...what, parameters: rest })) {
      await file.append(`${lines.join('\n')}\n`)
      count += lines.length
    }
    await file.complete()
    output.note(`${count.toLocaleString('en')} ${after === undefined ? '' : 'more '}records in ${path}`)
  } catch (error) {
    await file.leave()
    output.note(`What there is stands in ${file.path}; ${whatNext(error)}.`)
    throw error
  }
}

function whatNext(error: unknown): string {
  const code = error instanceof ServerRefusal ? error.code : undefined
  if (code === 'AUDIT_CORRUPT') return 'it ends before the damage ("touchmark audit verify" says where that is)'
  if (code === 'AUDIT_GONE') return 'what came behind it is gone; move it away to begin anew with what is kept'
  return 'the same command goes on with it'
}

/** The last record of an export that was broken off; undefined where it must begin anew. */
async function whereLeft(file: PartFile, { encoding, query }: Export): Promise<number | undefined> {
  const goesOn = query.limit === undefined && query.after === undefined
  const last = await file.lastLine((line) => goesOn && !Number.isNaN(encoding.sequenceOf(line)))
  return last === undefined ? undefined : encoding.sequenceOf(last)
}

/** The lines as they come, many at a time; says meanwhile how far it is. */
async function* pieces({
  client,
  output,
  encoding,
  query,
  parameters,
}: Export): AsyncIterable<{ lines: readonly string[] }> {
  const size = (await client.call('status')).audit.durable + 1
  const progress = output.progress()
  let first: number | undefined
  let lines: string[] = []
  let length = 0
  try {
    for await (const line of client.lines('searchAudit', { query: parameters })) {
      const record = parseRecord(line)
      first ??= query.order === 'newest' ? 0 : record.sequence
      progress.update(query.order === 'newest' ? size - record.sequence : record.sequence - first + 1, size - first)
      lines.push(encoding.encode(record))
      length += line.length
      if (length < pieceLength) continue
      yield { lines }
      lines = []
      length = 0
    }
    if (lines.length > 0) yield { lines }
  } catch (error) {
    if (lines.length > 0) yield { lines } // they came before it
    throw error
  } finally {
    progress.end()
  }
}

/** The same command to the same installation has the same kind: only then may one go on where another was broken off. */
function kindOf(format: ExportFormat, parameters: QueryParameters, root: string): string {
  const asked = JSON.stringify([root, format, ...Object.entries(parameters).sort()])
  return createHash('sha256').update(asked).digest('hex').slice(0, 8)
}
