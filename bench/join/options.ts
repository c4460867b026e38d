import { describeCommand, positive } from '../arguments.js'
import { type NamedPart, partArguments, type PartOptions, partUsage, understandParts } from '../part-options.js'

export interface Options extends PartOptions {
  /** So many devices come each time. */
  readonly joins: number
  /** So many of them are at the door at the same time. */
  readonly atOnce: number
  readonly seconds: number
}

/** Of a benchmark of these parts. */
export function commandLine(parts: readonly NamedPart[]) {
  return describeCommand({
    usage: usage(parts),
    options: {
      ...partArguments,
      joins: { type: 'string', default: '1000' },
      'at-once': { type: 'string', default: '16' },
      seconds: { type: 'string', default: '1' },
    },
    understand(given): Options {
      return {
        ...understandParts(parts, given),
        joins: positive(given.joins),
        atOnce: positive(given['at-once']),
        seconds: positive(given.seconds),
      }
    },
  })
}

const usage = (parts: readonly NamedPart[]): string =>
  `npm run bench:join [-- OPTION …]

How many devices a service lets in for the first time, by token and by TPM, and what that costs it and those that are in
already. Whatever a device can make beforehand is made beforehand. Beside it, in the same run, what nobody can do without: bare
TLS handshakes and bare signatures.

  --rounds N    how often each is measured; medians are printed (default 3)
  --joins N     how many devices come each time (default 1000)
  --at-once N   how many of them are at the door at the same time (default 16)
  --seconds S   how long signatures are made, and half of how long the neighbours are watched (default 1)
${partUsage(parts)}`
