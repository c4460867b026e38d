import { parseArgs, type ParseArgsConfig } from 'node:util'

type OptionsConfig = NonNullable<ParseArgsConfig['options']>
type Given<Config extends OptionsConfig> = ReturnType<typeof parseArgs<{ options: Config }>>['values']

/** What a benchmark takes on its command line. */
export interface CommandLine<Config extends OptionsConfig, Options> {
  /** Shown where it is asked for, and where what was given cannot be understood. */
  readonly usage: string
  readonly options: Config
  /** Whether there is more than options. Default: false */
  readonly allowPositionals?: boolean
  /** Throws at what it does not understand. */
  readonly understand: (given: Given<Config>, positionals: readonly string[]) => Options
}

/** For the compiler: what is given has the types that the options say. */
export function describeCommand<const Config extends OptionsConfig, Options>(
  command: CommandLine<Config, Options>,
): CommandLine<Config, Options> {
  return command
}

/** Runs a benchmark with what it was given. Resolves with the exit code: 2 where that cannot be understood. */
export async function runWith<Config extends OptionsConfig, Options>(
  { usage, options, allowPositionals = false, understand }: CommandLine<Config, Options>,
  run: (options: Options) => number | Promise<number>,
): Promise<number> {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) return explain(usage, 0)
  let understood: Options
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals })
    understood = understand(values, positionals)
  } catch {
    return explain(usage, 2)
  }
  return await run(understood)
}

/** An option that is a number above 0. @throws RangeError */
export function positive(text: string): number {
  const number = Number(text)
  if (number > 0 && Number.isFinite(number)) return number
  throw new RangeError(`not a number above 0: ${text}`)
}

/** An option that is one of a few words. @throws RangeError */
export function oneOf<const Word extends string>(words: readonly Word[], text: string): Word {
  const word = words.find((known) => known === text)
  if (word !== undefined) return word
  throw new RangeError(`expected ${words.join(' or ')}, got ${text}`)
}

function explain(usage: string, exitCode: number): number {
  process.stderr.write(usage)
  return exitCode
}
