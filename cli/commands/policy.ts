import { basename } from 'node:path'
import { Argument, type Command, Option } from 'commander'
import {
  type Act,
  denyReasonTexts,
  type ExplainRequest,
  type Explanation,
  type Labels,
  parseDeviceId,
  type Tier,
  tiers,
  type TopicAction,
} from '#protocol'
import { parsePolicy, PolicyError, policySchema, runPolicyTests, type TestCase, type TestReport } from '#policy'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import { encodeJUnit } from '../junit.js'
import { readNamedText, writeNamed } from '../named-files.js'
import { encodeJson, type Output } from '../output.js'
import { examples } from './examples.js'
import { commentOption, parseCount, parseLabel } from './arguments.js'

const actions = ['publish', 'will', 'subscribe', 'receive'] as const satisfies readonly TopicAction[]

interface CanOptions {
  readonly tier?: Tier
  readonly label?: Labels
  readonly qos?: '0' | '1' | '2'
  readonly retain?: true
  readonly size?: number
  readonly from?: string
  readonly at?: string
  readonly explain?: true
}

export function addPolicy(program: Command, { client, output }: Context): void {
  const policy = program.command('policy').description('who may publish, subscribe and receive what')

  policy
    .command('show')
    .description('the policy in force')
    .addHelpText('after', examples('policy show > policy.yaml'))
    .action(async () => {
      const view = await client().call('getPolicy')
      if (output().format === 'table' || output().format === 'wide') {
        output().note(`version ${view.version}, ${view.hash}`)
        output().text(view.source.trimEnd())
      } else output().one(view, [])
    })

  policy
    .command('test')
    .argument('<file>')
    .description('read a policy file and ask it its own tests; needs no server')
    .addHelpText('after', examples('policy test policy.yaml', 'policy test policy.yaml --junit results.xml'))
    .option('--junit <file>', 'write the results there too, as JUnit XML')
    .action((file: string, { junit }: { junit?: string }) => test(output(), file, junit))

  policy
    .command('schema')
    .description('JSON Schema of a policy file, for editors; needs no server')
    .addHelpText('after', examples('policy schema > policy.schema.json'))
    .action(() => output().text(encodeJson(policySchema, 2)))

  policy
    .command('can')
    .description('whether a device may do something, and why')
    .addHelpText(
      'after',
      examples(
        'policy can pump-7 publish devices/pump-7/telemetry/t --explain',
        "policy can pump-7 subscribe 'devices/+/state'",
        'policy can new-pump publish plant/state --tier tpm --label site=oslo',
        'policy can svc-1 publish plant/state --from 10.1.2.3 --at 2027-01-01T00:00:00Z',
      ),
    )
    .argument('<device>', 'one that is not known yet needs --tier')
    .addArgument(new Argument('<action>').choices(actions))
    .argument('<topic>', 'topic name; to subscribe, a filter')
    .addOption(new Option('--tier <tier>', 'as if its key had been proven so').choices(tiers))
    .option('--label <key=value>', 'as if it had these labels; can be repeated', parseLabel)
    .addOption(new Option('--qos <qos>').choices(['0', '1', '2']))
    .option('--retain', 'as a retained message')
    .option('--size <bytes>', 'of the payload', parseCount)
    .option('--from <address>', 'with a client at this IP address')
    .option('--at <time>', 'at another moment than now, such as 2027-01-01T00:00:00Z')
    .option('--explain', 'every rule that was looked at, and what kept it from deciding')
    .action(async (device: string, action: TopicAction, topic: string, options: CanOptions) => {
      const explanation = await client().call('explainPolicy', { body: questionOf(device, action, topic, options) })
      printExplanation(output(), explanation, options.explain ?? false)
      if (explanation.decision.effect === 'deny') throw new CliError('DENIED', `${device} may not ${action} ${topic}`)
    })

  policy
    .command('apply')
    .argument('<file>')
    .description('put a policy in force, at once and for live sessions too')
    .addHelpText(
      'after',
      examples('policy apply policy.yaml --dry-run', "policy apply policy.yaml --comment 'ticket 4711'"),
    )
    .option(...commentOption)
    .option('--dry-run', 'only check it')
    .action(async (file: string, { comment, dryRun }: Act & { dryRun?: true }) => {
      const query = { file: basename(file), comment, ...(dryRun && { dryRun: 'true' }) }
      const source = readNamedText(file, 'a policy')
      const before = await client().call('getPolicy')
      const answer = await client().call('applyPolicy', { query, text: source })
      output().one(answer, [
        ['version', String(answer.version)],
        ['hash', answer.hash],
        ['tests passed', String(answer.tests.passed)],
        ['sessions checked', answer.dryRun ? undefined : String(answer.sessions)],
      ])
      if (answer.hash === before.hash) output().note('This policy is in force already.')
      else if (answer.dryRun) output().note('Nothing was changed (--dry-run).')
    })
}

function test(output: Output, file: string, junit: string | undefined): void {
  const source = readNamedText(file, 'a policy')
  const report = (cases: readonly TestCase[], broken?: string): void => {
    if (junit !== undefined) writeNamed(junit, encodeJUnit(file, cases, broken))
  }
  const { passed, failed, cases } = runTests(source, file, (problem) => report([], problem))
  report(cases)
  output.one({ passed, failed, cases }, [
    ['passed', String(passed)],
    ['failed', String(failed.length)],
    ...failed.map(({ at, problem }) => [at, problem] as const),
  ])
  if (failed.length > 0) throw new CliError('CHECK_FAILED', `${failed.length} of the policy's tests failed`)
}

function runTests(source: string, file: string, broken: (problem: string) => void): TestReport {
  try {
    return runPolicyTests(parsePolicy(source, file))
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause
    const problem = `${cause.message} [${cause.code}]`
    broken(problem)
    throw new CliError('CHECK_FAILED', problem, { cause })
  }
}

function questionOf(device: string, action: TopicAction, topic: string, options: CanOptions): ExplainRequest {
  const { tier, label, qos, retain, size, from, at } = options
  return {
    as: { id: parseDeviceId(device), ...(tier && { tier }), ...(label && { labels: label }) },
    action,
    topic,
    ...(qos && { qos: parseQos(qos) }),
    ...(retain && { retain }),
    ...(size !== undefined && { size }),
    ...(from !== undefined && { from }),
    ...(at !== undefined && { at }),
  }
}

function parseQos(text: '0' | '1' | '2'): 0 | 1 | 2 {
  return text === '2' ? 2 : text === '1' ? 1 : 0
}

function printExplanation(output: Output, explanation: Explanation, all: boolean): void {
  const { decision, considered, nearest } = explanation
  output.one(all ? explanation : decision, [
    ['decision', decision.effect],
    ['because', decision.effect === 'deny' ? `${decision.reason}: ${denyReasonTexts[decision.reason]}` : undefined],
    ['by', decision.rules.join(', ') || undefined],
    ['nearest', nearest && `${nearest.rule}  ${nearest.at}  ${nearest.filter ?? `fails by ${nearest.failed}`}`],
    ['policy version', String(decision.policyVersion)],
    ...(all ? considered : []).map(
      ({ rule, effect, at, failed }) =>
        [`${effect} ${rule}`, `${at}  ${failed === undefined ? 'matches' : `does not match: ${failed}`}`] as const,
    ),
  ])
}
