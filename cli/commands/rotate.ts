import type { Command } from 'commander'
import { type Act, formatLockTarget } from '#protocol'
import type { Context } from '../context.js'
import { commented, commentOption } from './arguments.js'
import { examples } from './examples.js'
import { addTargetOptions, type TargetOptions, targetOf } from './target.js'

interface RotateOptions extends TargetOptions, Act {
  readonly dryRun?: boolean
}

export function addRotate(devices: Command, { client, output }: Context): void {
  const rotate = devices
    .command('rotate')
    .description('have devices replace the certificates that they hold now, and their keys')
    .addHelpText(
      'after',
      '\nNobody is cut off. Each device is told when it asks the server next, within some 20 minutes, and renews at once,' +
        '\nwith a new key; one whose key lives in a TPM keeps it. Who is away is told when it is back.',
    )
    .addHelpText(
      'after',
      examples(
        "devices rotate --device pump-7 --comment 'its disk was copied for repair'",
        'devices rotate --labels site=oslo --dry-run',
        'devices rotate --issuer 0d3b8a6cf1de0f0ba2c3d94f68b4e1d9a7c65e21',
      ),
    )
  addTargetOptions(rotate, { without: 'addresses' })
  rotate
    .option(...commentOption)
    .option('--dry-run', 'only say how many devices it would be')
    .action(async ({ dryRun = false, ...options }: RotateOptions) => {
      const target = targetOf(options)
      const answer = await client().call('rotateDevices', { body: { target, dryRun, ...commented(options) } })
      output().one(answer, [
        [dryRun ? 'would be' : 'rotates', formatLockTarget(target)],
        ['devices', String(answer.devices)],
      ])
      if (dryRun) output().note('Nothing was changed (--dry-run).')
    })
}
