import type { Command } from 'commander'
import { parsePolicy, PolicyError, runPolicyTests, type TestCase, type TestReport } from '#policy'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { encodeJUnit } from '../../junit.js'
import { readNamedText, writeNamed } from '../../named-files.js'
import type { Output } from '../../output.js'
import { examples } from '../examples.js'

export function addTest(policy: Command, { output }: Context): void {
  policy
    .command('test')
    .argument('<file>')
    .description('read a policy file and ask it its own tests; needs no server')
    .addHelpText('after', examples('policy test policy.yaml', 'policy test policy.yaml --junit results.xml'))
    .option('--junit <file>', 'write the results there too, as JUnit XML')
    .action((file: string, { junit }: { junit?: string }) => test(output(), file, junit))
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
