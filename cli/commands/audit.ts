import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { verifyLog } from '#audit'
import type { ApiClient } from '../client.js'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import type { Output } from '../output.js'
import { parseRecord, type Record, recordCells } from './audit-record.js'
import { examples } from './examples.js'
import { parseCount, parseDuration } from './arguments.js'

interface SearchOptions {
  readonly since?: number
  readonly until?: number
  readonly device?: string
  readonly topic?: string
  readonly decision?: string
  readonly rule?: string
  readonly event?: string
  readonly order: string
  readonly limit: number
}

export function addAudit(program: Command, { client, output, settings }: Context): void {
  const audit = program.command('audit').description('what was said and done, and the proof of it')

  audit
    .command('tail')
    .description('the last records, oldest first')
    .addHelpText('after', examples('audit tail', 'audit tail -n 5 -f', 'audit tail -n 100 -o json | jq .event'))
    .option('-n, --lines <n>', 'how many', parseCount, 20)
    .option('-f, --follow', 'go on with what is recorded from now on')
    .action(({ lines, follow }: { lines: number; follow?: true }) => tail(client(), output(), lines, follow ?? false))

  audit
    .command('search')
    .description('records that match all that is given, newest first')
    .addHelpText(
      'after',
      examples(
        'audit search --device pump-7 --since 2h',
        "audit search --decision deny --topic 'devices/+/state'",
        'audit search --event device.revoke -o wide',
      ),
    )
    .option('--since <duration>', 'not older than, such as 2h', parseDuration)
    .option('--until <duration>', 'older than, such as 10m', parseDuration)
    .option('--device <id>')
    .option('--topic <filter>', "topics that an MQTT filter matches, such as 'devices/+/state'")
    .addOption(new Option('--decision <decision>').choices(['allow', 'deny']))
    .option('--rule <rule>', 'a rule that took part, as role/rule')
    .option('--event <event>', 'such as message.publish')
    .addOption(new Option('--order <order>').choices(['newest', 'oldest']).default('newest'))
    .option('--limit <n>', 'at most so many', parseCount, 100)
    .action((options: SearchOptions) => search(client(), output(), options))

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

async function tail(client: ApiClient, output: Output, lines: number, follow: boolean): Promise<void> {
  const newest: Record[] = []
  const query = { order: 'newest', limit: String(Math.max(lines, 1)) }
  for await (const line of client.lines('searchAudit', { query })) newest.push(parseRecord(line))
  const shown = newest.toReversed().slice(newest.length - lines)
  for (const record of shown) print(output, record)
  if (!follow) return
  const from = (newest[0]?.sequence ?? -1) + 1
  for await (const line of client.lines('searchAudit', { query: { follow: 'true', from: String(from) } })) {
    print(output, parseRecord(line))
  }
}

async function search(client: ApiClient, output: Output, options: SearchOptions): Promise<void> {
  const { since, until, device, topic, decision, rule, event, order, limit } = options
  const query = {
    since: ago(since),
    until: ago(until),
    device,
    topic,
    decision,
    rule,
    event,
    order,
    limit: String(limit),
  }
  let found = 0
  for await (const line of client.lines('searchAudit', { query })) {
    print(output, parseRecord(line))
    found++
  }
  if (found === 0) output.note('Nothing matches.')
  if (found === limit) output.note(`These are the first ${limit}; --limit N shows more.`)
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

function print(output: Output, record: Record): void {
  output.item(record, recordCells(record))
}

function ago(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : new Date(Date.now() - seconds * 1000).toISOString()
}

function readVerifierKey(given: string): string {
  if (/^[^/\s]+\+[0-9a-f]{8}\+\S+$/.test(given)) return given
  try {
    return readFileSync(given, 'utf8').trim()
  } catch (cause) {
    throw new CliError('CANNOT_READ', `no verifier key: expected NAME+HASH+KEY or a file that holds it, got ${given}`, {
      cause,
    })
  }
}
