import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bestChip, type ChipKind } from './chip.js'
import { Narrator, StepFailed } from './narrator.js'
import { Stage } from './stage.js'
import { tellStory } from './story.js'

const usage = `npm run demo [-- --tpm swtpm|software] [--keep]

  --tpm    the TPM of the demo's device (default: swtpm where it is installed, else software)
  --keep   leave everything running and say how to look around`

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args)
  if (options === undefined) {
    process.stderr.write(`${usage}\n`)
    return 2
  }
  const narrator = new Narrator()
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-demo-'))
  const stage = new Stage(folder)
  try {
    await tellStory(stage, narrator, options.chip)
    if (options.keep) await holdOpen(stage, narrator)
    return 0
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error
    narrator.failed(error.message)
    return 1
  } finally {
    await stage.clear()
    await rm(folder, { recursive: true, force: true })
  }
}

function readOptions(args: readonly string[]): { readonly chip: ChipKind; readonly keep: boolean } | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        tpm: { type: 'string' },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const chip = values.tpm ?? bestChip()
    if (values.help || (chip !== 'swtpm' && chip !== 'software')) return undefined
    return { chip, keep: values.keep }
  } catch {
    return undefined
  }
}

async function holdOpen(stage: Stage, narrator: Narrator): Promise<void> {
  narrator.chapter('Everything is still running. Look around in another terminal:')
  narrator.note(stage.lookAround().join('\n'))
  narrator.note('Ctrl-C ends it and removes the folder.')
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}
