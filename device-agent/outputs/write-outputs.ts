import { CodedError } from '#protocol'
import type { IssuedGeneration } from '../generation.js'
import type { Journal } from '../journal.js'
import { filesOf } from './contents.js'
import type { Output } from './output.js'
import { idsOf } from './owner.js'
import { placeFiles } from './place-files.js'

/** Each output, whatever became of those before. Gives what failed, in words. */
export async function writeOutputs(
  outputs: readonly Output[],
  generation: IssuedGeneration,
  log: Journal,
): Promise<readonly string[]> {
  const problems: string[] = []
  for (const output of outputs) {
    const where = output.kind === 'pem' ? output.folder : output.file
    try {
      const owner = output.kind === 'pem' || output.kind === 'pkcs12' ? await idsOf(output) : await idsOf({})
      await placeFiles(await filesOf(output, generation), owner)
      log('output written', { kind: output.kind, to: where, generation: generation.number })
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      log('output failed', { kind: output.kind, to: where, error: error.code, message: error.message })
      problems.push(`${where}: ${error.message}`)
    }
  }
  return problems
}
