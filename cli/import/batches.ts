import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { ExpectedDevice, ProfileName } from '#protocol'
import { readCsv } from '../csv-reader.js'
import { CliError } from '../errors.js'
import { columnOf, Columns, type RowProblem } from './columns.js'
import { FirstRows } from './first-rows.js'
import type { Problems } from './problems.js'

/** Devices for one request, each with the row that it stands in. */
export interface Batch {
  readonly devices: readonly ExpectedDevice[]
  readonly rows: readonly number[]
}

/** What one request may hold: few enough that nobody waits for it, and that the service takes it. */
const most = { devices: 500, characters: 512 * 1024 } as const

export interface DeviceFileOptions {
  /** From the beginning, at each call. */
  readonly read: () => AsyncIterable<Uint8Array>
  /** In bytes. */
  readonly size: number
  /** Of rows that name none. */
  readonly profile?: ProfileName | undefined
}

/** Expected devices in CSV, read as often as is wanted, and never held as a whole. */
export class DeviceFile {
  readonly #options: DeviceFileOptions
  #bytes = 0
  #rows = 0

  /** @throws CliError CANNOT_READ */
  static async open(path: string, profile?: ProfileName): Promise<DeviceFile> {
    const size = await sizeOf(path)
    return new DeviceFile({ read: () => readFrom(path), size, profile })
  }

  constructor(options: DeviceFileOptions) {
    this.#options = options
  }

  /** Rows of devices that were read, right and wrong ones. */
  get rows(): number {
    return this.#rows
  }

  /** How many there will be in all, as far as can be told from what was read. */
  get expectedRows(): number {
    return Math.max(this.#rows, Math.round((this.#rows * this.#options.size) / Math.max(this.#bytes, 1)))
  }

  /** From the beginning. Rows that are wrong go into `problems` and into no batch. @throws CliError CSV_INVALID, CANNOT_READ */
  async *batches(problems: Problems): AsyncGenerator<Batch, void> {
    const seen = { id: new FirstRows(), anchor: new FirstRows() }
    let columns: Columns | undefined
    let batch = new Filling()
    this.#bytes = 0
    this.#rows = 0
    for await (const rows of readCsv(this.#chunks())) {
      for (const { row, cells } of rows) {
        if (cells.length === 1 && cells[0] === '') continue // an empty line
        if (columns === undefined) {
          columns = new Columns(cells, this.#options.profile)
          continue
        }
        this.#rows++
        const read = columns.read(row, cells)
        const wrong = 'id' in read ? repeats(read, row, seen) : read
        if (wrong.length > 0) problems.add(wrong)
        else if ('id' in read && batch.add(read, row)) {
          yield batch
          batch = new Filling()
        }
      }
    }
    if (columns === undefined) throw new CliError('CSV_INVALID', 'the file is empty; its first row names the columns')
    if (batch.devices.length > 0) yield batch
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of this.#options.read()) {
      this.#bytes += chunk.length
      yield chunk
    }
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    throw new CliError('CANNOT_READ', `cannot read ${path}`, { cause })
  }
}

async function* readFrom(path: string): AsyncGenerator<Uint8Array, void> {
  const stream: AsyncIterable<Buffer> = createReadStream(path)
  try {
    for await (const chunk of stream) yield chunk
  } catch (cause) {
    throw new CliError('CANNOT_READ', `cannot read ${path}`, { cause })
  }
}

/** What a row says that another has said before it. */
function repeats(
  { id, anchor }: ExpectedDevice,
  row: number,
  seen: { readonly id: FirstRows; readonly anchor: FirstRows },
): readonly RowProblem[] {
  const ofId = seen.id.note(id, row)
  const ofAnchor = seen.anchor.note(`${anchor.kind} ${anchor.hash}`, row)
  return [
    ...(ofId === undefined ? [] : [{ row, column: 'id', problem: `${id} stands in row ${ofId} already` }]),
    ...(ofAnchor === undefined
      ? []
      : [{ row, column: columnOf(anchor.kind), problem: `the same hash stands in row ${ofAnchor} already` }]),
  ]
}

class Filling implements Batch {
  readonly devices: ExpectedDevice[] = []
  readonly rows: number[] = []
  #characters = 0

  /** Whether it is full with it. */
  add(device: ExpectedDevice, row: number): boolean {
    this.devices.push(device)
    this.rows.push(row)
    this.#characters += JSON.stringify(device).length
    return this.devices.length >= most.devices || this.#characters >= most.characters
  }
}
