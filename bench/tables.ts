import { availableParallelism } from 'node:os'
import { cases } from './cases.js'
import type { Result } from './load/measure.js'
import type { Options } from './options.js'
import { mosquittoVersion } from './peers/mosquitto.js'

export interface Run {
  readonly broker: string
  readonly case: string
  readonly round: number
  readonly result?: Result
  readonly records?: number
  readonly error?: string
}

export interface Surroundings {
  readonly date: string
  readonly cores: number
  readonly node: string
  readonly mosquitto: string
  readonly rounds: number
  readonly seconds: number
}

export function surroundings({ rounds, seconds }: Options): Surroundings {
  return {
    date: new Date().toISOString().slice(0, 10),
    cores: availableParallelism(),
    node: process.version,
    mosquitto: mosquittoVersion(),
    ...{ rounds, seconds },
  }
}

/** Medians over the rounds, as Markdown. */
export function renderTables(runs: readonly Run[], { date, cores, node, mosquitto, ...of }: Surroundings): string {
  const about = `${date}, ${cores} cores, Node.js ${node}, mosquitto ${mosquitto}, median of ${of.rounds} × ${of.seconds} s`
  const tables = cases
    .filter(({ name }) => runs.some((run) => run.case === name))
    .map(({ name, title, load }) => {
      const own = runs.filter((run) => run.case === name)
      return `### ${title}\n\n${render([...(load.kind === 'idle' ? idleRows(own) : speedRows(own))])}`
    })
  const failures = runs
    .filter(({ error }) => error !== undefined)
    .map((run) => `- FAILED: ${run.case}, ${run.broker}, round ${run.round + 1}: ${run.error}\n`)
  return [about, ...tables, failures.join('')].filter((part) => part !== '').join('\n\n') + '\n'
}

function speedRows(runs: readonly Run[]): readonly (readonly string[])[] {
  const perCpuSecond = (broker: string) =>
    medianOf(runs, broker, ({ done, brokerCpuSeconds }) => done / brokerCpuSeconds)
  const base = perCpuSecond('mosquitto')
  return [
    [
      '',
      'per broker CPU-second',
      'to mosquitto',
      'per second',
      'p50 ms',
      'p99 ms',
      'broker CPU',
      'load CPU',
      'records',
    ],
    ...brokersIn(runs).map((broker) => {
      const median = (value: (result: Result) => number | undefined) => medianOf(runs, broker, value)
      const per = perCpuSecond(broker)
      return [
        broker,
        whole(per),
        base > 0 ? (per / base).toFixed(2) : '–',
        whole(median(({ done, seconds }) => done / seconds)),
        milliseconds(median(({ latency }) => latency?.p50)),
        milliseconds(median(({ latency }) => latency?.p99)),
        percent(median(({ brokerCpuSeconds, seconds }) => brokerCpuSeconds / seconds)),
        percent(median(({ loadCpuSeconds, seconds }) => loadCpuSeconds / seconds)),
        recordsOf(runs, broker),
      ]
    }),
  ]
}

function idleRows(runs: readonly Run[]): readonly (readonly string[])[] {
  return [
    ['', 'kB per connection'],
    ...brokersIn(runs).map((broker) => [
      broker,
      (medianOf(runs, broker, ({ bytesPerConnection }) => bytesPerConnection) / 1000).toFixed(1),
    ]),
  ]
}

/** How many records there are, and of how many messages they had to be. */
function recordsOf(runs: readonly Run[], broker: string): string {
  const last = runs.findLast((run) => run.broker === broker && run.result !== undefined)
  if (last?.records === undefined || !last.result?.messages) return '–'
  return `${whole(last.records)} of ${whole(last.result.messages)} messages`
}

function brokersIn(runs: readonly Run[]): readonly string[] {
  return [...new Set(runs.filter(({ round }) => round === 0).map(({ broker }) => broker))]
}

/** NaN where there is nothing to take it of. */
function medianOf(runs: readonly Run[], broker: string, value: (result: Result) => number | undefined): number {
  const values = runs
    .filter((run) => run.broker === broker)
    .flatMap(({ result }) => (result ? (value(result) ?? []) : []))
    .sort((a, b) => a - b)
  const middle = values.length / 2
  return ((values[Math.floor(middle)] ?? NaN) + (values[Math.ceil(middle) - 1] ?? NaN)) / 2
}

function render(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const [head = [], ...body] = rows
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'))
  return [head, rule, ...body].map(line).join('\n')
}

const whole = (value: number): string => (Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–')
const milliseconds = (micros: number): string => (Number.isFinite(micros) ? (micros / 1000).toFixed(2) : '–')
const percent = (share: number): string => (Number.isFinite(share) ? `${Math.round(share * 100)} %` : '–')
