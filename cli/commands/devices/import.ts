import type { Command } from 'commander'
import { parseProfileName } from '#protocol'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { DeviceFile } from '../../import/batches.js'
import { applyImport, checkImport, type Imported, type Importing } from '../../import/import-devices.js'
import { describeProblem } from '../../import/problems.js'
import type { Output } from '../../output.js'
import { examples } from '../examples.js'

const format = `
The file is CSV in UTF-8, and its first row names the columns:
  id            of the device, for its whole life
  ek_hash       SHA-256 of its TPM's EK, in hex (touchmark-agent ek shows it), or
  idevid_spki   SHA-256 of its IDevID's SubjectPublicKeyInfo: each row has one of the two
  profile       enrollment profile; where it is empty, the one of --profile
  label.NAME    a label each; an empty cell is none
Every row is held against the others and against what is known before anything is registered. Where one is wrong, none is.
A device that is registered just so is no change, so that a file can be imported again.`

interface ImportOptions {
  readonly profile?: string
  readonly reason?: string
  readonly dryRun?: true
  readonly skipInvalid?: true
}

export function addImport(devices: Command, { client, output }: Context): void {
  devices
    .command('import')
    .argument('<file>')
    .description('make many devices known before they arrive, from a CSV file')
    .addHelpText('after', format)
    .addHelpText(
      'after',
      examples(
        'devices import pumps.csv --dry-run',
        "devices import pumps.csv --reason 'order 4711 of 2026-11'",
        "devices import pumps.csv --profile default --skip-invalid --reason 'what has a hash by now'",
      ),
    )
    .option('--profile <name>', 'enrollment profile of rows that name none')
    .option('--reason <text>', 'why, for the audit log; needed unless --dry-run')
    .option('--dry-run', 'only say what it would come to')
    .option('--skip-invalid', 'register the others where some rows are wrong')
    .action(async (path: string, { profile, reason, dryRun, skipInvalid }: ImportOptions) => {
      if (!dryRun && reason === undefined) throw new CliError('USAGE', "expected --reason 'why', or --dry-run")
      const file = await DeviceFile.open(path, profile === undefined ? undefined : parseProfileName(profile))
      const api = client() // one connection for all of it
      const importing: Importing = {
        file,
        send: (body) => api.call('importDevices', { body }),
        progress: () => output().progress('rows'),
      }
      const checked = await checkImport(importing)
      const isToDo = !dryRun && (skipInvalid || checked.wrong === 0)
      const isNews = isToDo && checked.registered > 0
      const imported = isNews ? await applyImport(importing, { comment: reason ?? '' }) : checked
      report(output(), imported, { isDone: isToDo })
    })
}

function report(output: Output, imported: Imported, { isDone }: { readonly isDone: boolean }): void {
  const { rows, registered, unchanged, wrong, problems } = imported
  for (const problem of output.isForPeople ? problems : []) output.note(describeProblem(problem))
  output.one({ ...imported, dryRun: !isDone }, [
    ['rows', String(rows)],
    [isDone ? 'registered' : 'would register', String(registered)],
    ['known already', String(unchanged)],
    ['wrong', String(wrong)],
  ])
  if (wrong > 0 && !isDone) {
    throw new CliError('CHECK_FAILED', `${wrong} of ${rows} rows are wrong; nothing was registered`)
  }
  if (wrong > 0) throw new CliError('PARTLY_DONE', `${wrong} of ${rows} rows were left out`)
}
