import type { Command } from 'commander'
import type { AttestationView, EventView, QuotedPcrView } from '#protocol'
import type { Context } from '../../context.js'
import type { Column, Output } from '../../output.js'
import { formatTime } from '../arguments.js'
import { examples } from '../examples.js'

const pcrColumns: readonly Column<QuotedPcrView>[] = [
  { name: 'pcr', of: ({ pcr }) => String(pcr) },
  { name: 'sha-256', of: ({ value }) => value },
  { name: 'by the log', of: ({ replays }) => (replays === undefined ? '' : replays ? 'the same' : 'another') },
]

const eventColumns: readonly Column<EventView>[] = [
  { name: 'pcr', of: ({ pcr }) => String(pcr) },
  { name: 'event', of: ({ type }) => type },
  { name: 'proven', of: ({ measured }) => (measured ? 'yes' : 'no') },
  { name: 'digest', of: ({ digest }) => digest, wide: true },
  { name: 'says', of: ({ text }) => text },
]

export function addShowAttestation(attest: Command, { client, output }: Context): void {
  attest
    .command('show')
    .argument('<device>')
    .description('what a device has proven: its TPM, its PCRs, what was made of them, and what it booted in words')
    .addHelpText(
      'after',
      '\nPROVEN says whether the digest that was measured is over what the line says. Otherwise the digest stands for' +
        '\nsomething else, such as an image, and the words are only what the machine wrote beside it.',
    )
    .addHelpText('after', examples('attest show pump-7', 'attest show pump-7 -o wide', 'attest show pump-7 -o json'))
    .action(async (id: string) => show(output(), await client().call('getAttestation', { id })))
}

function show(output: Output, view: AttestationView): void {
  const { tpm, verdict } = view
  output.one(view, [
    ['device', view.device],
    ['tier', view.tier],
    ['EK', view.ek],
    ['vouched by', view.maker],
    ['TPM firmware', tpm?.firmware],
    ['resets', tpm && `${tpm.resetCount}, restarts ${tpm.restartCount}`],
    ['PCRs', verdict === undefined ? 'never quoted' : verdict.outcome],
    [
      'by policy',
      verdict?.policy && `${verdict.policy.name}, version ${verdict.policy.version}, ${verdict.policy.mode}`,
    ],
    ['quoted', verdict && formatTime(verdict.at)],
    ...(verdict?.reasons ?? []).map((reason) => ['because', reason] as const),
  ])
  if (!output.isForPeople) return
  if (view.pcrs.length > 0) output.text(['', ...output.table(view.pcrs, pcrColumns)].join('\n'))
  if (view.events !== undefined) output.text(['', ...output.table(view.events, eventColumns)].join('\n'))
}
