import { describeCommand, positive } from '../arguments.js'
import { type NamedPart, partArguments, type PartOptions, partUsage, understandParts } from '../part-options.js'

export interface Options extends PartOptions {
  /** How long each question is asked again and again. */
  readonly seconds: number
  /** For how many a policy is rendered. */
  readonly devices: number
  /** So many are connected when another policy is applied. */
  readonly sessions: number
  /** So many are connected when some of them are revoked. */
  readonly connected: number
}

/** Of a benchmark of these parts. */
export function commandLine(parts: readonly NamedPart[]) {
  return describeCommand({
    usage: usage(parts),
    options: {
      ...partArguments,
      seconds: { type: 'string', default: '1' },
      devices: { type: 'string', default: '100000' },
      sessions: { type: 'string', default: '5000' },
      connected: { type: 'string', default: '1000' },
    },
    understand(given): Options {
      return {
        ...understandParts(parts, given),
        seconds: positive(given.seconds),
        devices: positive(given.devices),
        sessions: positive(given.sessions),
        connected: positive(given.connected),
      }
    },
  })
}

const usage = (parts: readonly NamedPart[]): string =>
  `npm run bench:policy [-- OPTION …]

What a decision costs, and how soon a change of policy and a revocation act. Beside it, in the same run, others on the same
questions where they can answer them.

  --rounds N    how often each is measured; medians are printed (default 3)
  --seconds S   how long each question is asked again and again (default 1)
  --devices N   for how many a policy is rendered (default 100000)
  --sessions N  how many are connected when another policy is applied (default 5000)
  --connected N how many are connected when some of them are revoked (default 1000)
${partUsage(parts)}`
