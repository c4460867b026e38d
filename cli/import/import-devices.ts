import type { ImportDevicesAnswer, ImportDevicesRequest, RefusedDevice } from '#protocol'
import type { Progress } from '../progress.js'
import { type Batch, DeviceFile } from './batches.js'
import { columnOf, type RowProblem } from './columns.js'
import { Problems } from './problems.js'

export interface Imported {
  /** Rows of devices in the file. */
  readonly rows: number
  readonly registered: number
  /** Known already, just so. */
  readonly unchanged: number
  /** Rows that are wrong, and the first of what is wrong with them. */
  readonly wrong: number
  readonly problems: readonly RowProblem[]
}

export interface Importing {
  readonly file: DeviceFile
  readonly send: (request: ImportDevicesRequest) => Promise<ImportDevicesAnswer>
  readonly progress: () => Progress
}

/** Holds every row against the others and against the service, and changes nothing. */
export async function checkImport(importing: Importing): Promise<Imported> {
  return pass(importing, { dryRun: true })
}

/** Registers what can be; what cannot is named. Whatever was done before it broke off is no change the next time. */
export async function applyImport(importing: Importing, why: { readonly comment: string }): Promise<Imported> {
  return pass(importing, { skipInvalid: true, ...why })
}

async function pass(
  { file, send, progress: begin }: Importing,
  how: Omit<ImportDevicesRequest, 'devices'>,
): Promise<Imported> {
  const problems = new Problems()
  const progress = begin()
  let registered = 0
  let unchanged = 0
  try {
    for await (const batch of file.batches(problems)) {
      const answer = await send({ devices: batch.devices, ...how })
      registered += answer.registered
      unchanged += answer.unchanged
      for (const refused of answer.refused) problems.add([problemOf(refused, batch)])
      progress.update(file.rows, file.expectedRows)
    }
  } finally {
    progress.end()
  }
  const named = problems.named.toSorted((one, other) => one.row - other.row)
  return { rows: file.rows, registered, unchanged, wrong: problems.rows, problems: named }
}

function problemOf({ at, field, problem }: RefusedDevice, { rows, devices }: Batch): RowProblem {
  const kind = devices[at]?.anchor.kind ?? 'ek'
  const column = { id: 'id', profile: 'profile', labels: 'label.*', anchor: columnOf(kind) }[field]
  return { row: rows[at] ?? 0, column, problem }
}
