import { CliError } from './errors.js'

/**
 * Work that the first Ctrl-C ends in order, through a signal whose reason is a CliError INTERRUPTED in these words; a
 * second one ends the program as ever.
 */
export async function interruptible<Result>(
  describe: () => string,
  work: (stop: AbortController) => Promise<Result>,
): Promise<Result> {
  const stop = new AbortController()
  const interrupt = (): void => stop.abort(new CliError('INTERRUPTED', describe()))
  process.once('SIGINT', interrupt)
  try {
    return await work(stop)
  } finally {
    process.off('SIGINT', interrupt)
  }
}
