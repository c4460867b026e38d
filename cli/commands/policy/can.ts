import { Argument, type Command, Option } from 'commander'
import {
  denyReasonTexts,
  type ExplainRequest,
  type Explanation,
  type Labels,
  parseDeviceId,
  type Tier,
  tiers,
} from '#protocol'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import type { Output } from '../../output.js'
import { parseCount, parseLabel } from '../arguments.js'
import { examples } from '../examples.js'

const actions = ['publish', 'will', 'subscribe', 'receive', 'discover'] as const satisfies readonly Asked[]

type Asked = ExplainRequest['action']

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

export function addCan(policy: Command, { client, output }: Context): void {
  policy
    .command('can')
    .description('whether a device may do something, and why')
    .addHelpText(
      'after',
      examples(
        'policy can pump-7 publish devices/pump-7/telemetry/t --explain',
        "policy can pump-7 subscribe 'devices/+/state'",
        'policy can new-pump publish plant/state --tier tpm --label site=oslo',
        'policy can pump-7 discover plc-1/modbus',
        'policy can svc-1 publish plant/state --from 10.1.2.3 --at 2027-01-01T00:00:00Z',
      ),
    )
    .argument('<device>', 'one that is not known yet needs --tier')
    .addArgument(new Argument('<action>').choices(actions))
    .argument('<topic>', 'topic name; to subscribe, a filter; to discover, DEVICE/SERVICE')
    .addOption(new Option('--tier <tier>', 'as if its key had been proven so').choices(tiers))
    .option('--label <key=value>', 'as if it had these labels; can be repeated', parseLabel)
    .addOption(new Option('--qos <qos>').choices(['0', '1', '2']))
    .option('--retain', 'as a retained message')
    .option('--size <bytes>', 'of the payload', parseCount)
    .option('--from <address>', 'with a client at this IP address')
    .option('--at <time>', 'at another moment than now, such as 2027-01-01T00:00:00Z')
    .option('--explain', 'every rule that was looked at, and what kept it from deciding')
    .action(async (device: string, action: Asked, topic: string, options: CanOptions) => {
      const explanation = await client().call('explainPolicy', { body: questionOf(device, action, topic, options) })
      printExplanation(output(), explanation, options.explain ?? false)
      if (explanation.decision.effect === 'deny') throw new CliError('DENIED', `${device} may not ${action} ${topic}`)
    })
}

function questionOf(device: string, action: Asked, topic: string, options: CanOptions): ExplainRequest {
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
    ['answers', decision.effect === 'allow' ? describeAnswers(decision.answerMs) : undefined],
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

function describeAnswers(answerMs: number | undefined): string | undefined {
  return answerMs === undefined ? undefined : `who is given the message may answer it once, within ${answerMs / 1000} s`
}
