import { type Command, Option } from 'commander'
import { proveRecord } from '#audit'
import type { Context } from '../../context.js'
import { writeNamed } from '../../named-files.js'
import { parseCount } from '../arguments.js'
import { examples } from '../examples.js'
import { requireLogFolder } from './log-folder.js'

interface ProveOptions {
  readonly dir?: string
  readonly file?: string
}

export function addProve(audit: Command, { client, output }: Context): void {
  audit
    .command('prove')
    .argument('<sequence>', 'number of the record, as "audit search -o wide" shows it', parseCount)
    .addOption(new Option('--dir <dir>', 'folder of a log; then no server is asked'))
    .option('-f, --file <file>', 'where to write the proof (default: standard output)')
    .description('the proof that the log holds a record, for anyone who has the verifier key (C2SP tlog-proof)')
    .addHelpText(
      'after',
      examples('audit prove 4711 -f 4711.tlog-proof', 'audit prove 4711 --dir ./copy-of-audit -f 4711.tlog-proof'),
    )
    .action(async (sequence: number, { dir, file }: ProveOptions) => {
      const proof =
        dir === undefined
          ? await client().text('auditProof', { id: String(sequence) })
          : await proveRecord(requireLogFolder(dir), sequence)
      if (file === undefined) return void process.stdout.write(proof)
      writeNamed(file, proof)
      output().note(`${file} proves record ${sequence}: touchmark audit verify --proof ${file} --vkey KEY`)
    })
}
