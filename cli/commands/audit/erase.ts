import { type Command, InvalidArgumentError } from 'commander'
import { parseDay } from '#audit'
import { type Act, parseDeviceId } from '#protocol'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { commentOption } from '../arguments.js'
import { examples } from '../examples.js'

interface EraseOptions extends Required<Act> {
  readonly day: string
  readonly device?: string
  readonly allDevices?: true
  readonly yes?: true
}

export function addErase(audit: Command, { client, output, typed }: Context): void {
  audit
    .command('erase')
    .description('destroy the keys of what a device said on a day: nobody can read or prove it again')
    .addHelpText(
      'after',
      '\nThe records stay, with topic, size and time, and the log verifies as before. It cannot be undone. Copies of the' +
        "\nserver's payload-keys folder, if somebody made any, can still open what is erased here.",
    )
    .addHelpText(
      'after',
      examples(
        "audit erase --device pump-7 --day 2026-11-23 --comment 'request 4711 of the data subject'",
        "audit erase --all-devices --day 2026-11-23 --comment 'retention' --yes",
      ),
    )
    .requiredOption('--day <date>', 'a day in UTC, such as 2026-11-23', parseDate)
    .option('--device <id>', 'only what this device said')
    .option('--all-devices', 'what any device said')
    .requiredOption(...commentOption)
    .option('--yes', 'do not ask')
    .action(async ({ day, device, allDevices, comment, yes }: EraseOptions) => {
      if ((device === undefined) === (allDevices === undefined)) {
        throw new CliError('USAGE', 'expected either --device ID or --all-devices')
      }
      const whose = device ?? 'all devices'
      const question = `What ${whose} said on ${day} can never be read or proved again`
      if (yes === undefined && !(await typed(question, device ?? day))) {
        throw new CliError('USAGE', 'nothing was erased: something else was typed')
      }
      const body = { day, comment, ...(device !== undefined && { device: parseDeviceId(device) }) }
      const answer = await client().call('erasePayloads', { body })
      output().one(answer, [
        ['erased', `payloads of ${whose} on ${answer.day}`],
        ['keys', answer.keys === 0 ? '0: nothing was said, or it was erased before' : String(answer.keys)],
      ])
    })
}

function parseDate(text: string): string {
  if (parseDay(text) === undefined) throw new InvalidArgumentError('expected a day such as 2026-11-23')
  return text
}
