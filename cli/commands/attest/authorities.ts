import type { Command } from 'commander'
import type { TpmMakerView } from '#protocol'
import type { Context } from '../../context.js'
import type { Column } from '../../output.js'
import { formatTime } from '../arguments.js'
import { examples } from '../examples.js'

const columns: readonly Column<TpmMakerView>[] = [
  { name: 'id', of: ({ id }) => id },
  { name: 'name', of: ({ name }) => name ?? '' },
  { name: 'kind', of: ({ kind }) => kind },
  { name: 'roots', of: ({ roots }) => String(roots.length) },
  { name: 'first ends', of: ({ roots }) => formatTime(roots.map(({ notAfter }) => notAfter).sort()[0] ?? '') },
  { name: 'intermediates', of: ({ intermediates }) => String(intermediates) },
  { name: 'forgiven', of: ({ forgiven }) => forgiven.join(',') },
  { name: 'fingerprints', of: ({ roots }) => roots.map(({ fingerprint }) => fingerprint).join(' '), wide: true },
]

export function addAuthorities(attest: Command, { client, output }: Context): void {
  attest
    .command('authorities')
    .description('manufacturers whose word about TPMs counts')
    .command('ls')
    .description('every manufacturer whose certificates of endorsement keys are trusted, and until when')
    .addHelpText(
      'after',
      '\nThose of KIND own are the files under ekRoots in touchmark.yaml, or of --ek-root. Whom of the others the service' +
        '\ntrusts says ekMakers there. FORGIVEN is what their certificates need not have, and nobody else is forgiven it.',
    )
    .addHelpText('after', examples('attest authorities ls', 'attest authorities ls -o json'))
    .action(async () => output().list(await client().call('listTpmMakers'), columns))
}
