import { encodeJson } from '../output.js'
import type { Record } from '../commands/audit/record.js'
import { csvHeader, encodeCsvRecord } from './csv.js'
import { encodeCloudEvent } from './cloud-event.js'

export const exportFormats = ['ndjson', 'cloudevents', 'csv'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** How records become lines. A line is one record and says its sequence number, so that a file can be gone on with. */
export interface Encoding {
  /** Stands before all records. */
  readonly header?: string
  readonly encode: (record: Record) => string
  /** Of a line that it has written; NaN for any other. */
  readonly sequenceOf: (line: string) => number
}

/** `origin` names the log, as its checkpoints do. */
export function encodingOf(format: ExportFormat, origin: string): Encoding {
  switch (format) {
    case 'ndjson':
      return { encode: encodeJson, sequenceOf: (line) => Number(/"sequence":(\d+)/.exec(line)?.[1]) }
    case 'cloudevents':
      return {
        encode: (record) => encodeCloudEvent(record, origin),
        sequenceOf: (line) => Number(/^\{"specversion":"1\.0","id":"[^"]*\/(\d+)"/.exec(line)?.[1]),
      }
    case 'csv':
      return {
        header: csvHeader,
        encode: encodeCsvRecord,
        sequenceOf: (line) => Number(/^(\d+),/.exec(line)?.[1]),
      }
  }
}
