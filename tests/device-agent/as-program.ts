import { main, type Surroundings } from '#device-agent'

export interface Run {
  readonly exitCode: number
  readonly out: readonly string[]
  readonly err: readonly string[]
}

/** Runs `touchmark-agent` as a shell would, though in this process; there is no TPM. */
export async function runAgent(args: readonly string[], given: Partial<Surroundings> = {}): Promise<Run> {
  const out: string[] = []
  const err: string[] = []
  const exitCode = await main(args, {
    ...{ version: '0', environment: {}, home: '/root' },
    openTpm: () => Promise.reject(new Error('no TPM here')),
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    readInput: () => Promise.resolve(''),
    readLines: async function* () {},
    stopped: new AbortController().signal,
    ...given,
  })
  return { exitCode, out, err }
}
