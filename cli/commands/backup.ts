import type { Command } from 'commander'
import { readBackup } from '#backup'
import type { Act } from '#protocol'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import { interruptible } from '../interrupt.js'
import type { Output } from '../output.js'
import { WholeFile } from '../whole-file.js'
import { commented, commentOption, formatTime } from './arguments.js'
import { examples } from './examples.js'

/** What was written, for programs. */
interface Taken {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly at: string
  readonly trustDomain: string
  readonly epoch: number
  readonly records: number
}

/** Records in a whole bundle of the log (C2SP tlog-tiles), which is what progress is counted by. */
const bundleRecords = 256

export function addBackup(program: Command, { client, output }: Context): void {
  program
    .command('backup')
    .description('write all that the service needs to go on elsewhere to a file, while it goes on here')
    .argument(
      '<file>',
      'a new file; it gets this name when all of it is there and has been checked; - is standard output',
    )
    .addHelpText(
      'after',
      "\nThe file holds the CA's keys: whoever reads it is the installation. Only you can read it; encrypt it before it\n" +
        'leaves this machine. What is erased in payload-keys/ must be gone, so these are never in it.',
    )
    .addHelpText(
      'after',
      examples('backup touchmark-2026-11-24.tar', 'backup - --comment nightly | age -r RECIPIENT > nightly.tar.age'),
    )
    .option(...commentOption)
    .action(async (file: string, act: Act) => {
      const answers = output()
      const backup = client().pieces('takeBackup', { body: commented(act) })
      if (file === '-') return await pipeOut(backup, answers)
      const whole = await WholeFile.create(file)
      const taken = await interruptible(
        () => `nothing was written to ${file}`,
        async ({ signal }) => {
          try {
            const { at, trustDomain, epoch, records } = await check(whole.keep(backup, signal), answers)
            return { file, ...(await whole.complete()), at, trustDomain, epoch, records } satisfies Taken
          } finally {
            await whole.leave()
          }
        },
      )
      answers.one(taken, [
        ['file', file],
        ['bytes', taken.bytes.toLocaleString('en')],
        ['sha256', taken.sha256],
        ['as of', formatTime(taken.at)],
        ['audit log', `${taken.records} records`],
      ])
    })
}

/** For a program that encrypts it. What has gone out cannot be called back: the exit code says whether it is whole. */
async function pipeOut(backup: AsyncIterable<Uint8Array>, output: Output): Promise<void> {
  if (output.isShown) {
    throw new CliError('USAGE', 'a backup is nothing for a terminal: name a file, or pipe it into a program')
  }
  const { at, records } = await check(output.passOn(backup), output)
  output.note(`a whole backup, as of ${formatTime(at)}, ${records} records`)
}

/** Reads what is being written as a restore will, so that nothing is called a backup that is none. */
async function check(pieces: AsyncIterable<Uint8Array>, output: Output) {
  const { manifest, members } = await readBackup(pieces)
  const { at, trustDomain, epoch, treeSize: records } = manifest
  const progress = output.progress()
  let checked = 0
  try {
    for await (const { name } of members) {
      if (name.includes('/entries/')) progress.update(Math.min((checked += bundleRecords), records), records)
    }
  } finally {
    progress.end()
  }
  return { at: new Date(at).toISOString(), trustDomain, epoch, records }
}
