import { csvHeader, encodeCsvRecord } from '../../export/csv.js'
import type { Output } from '../../output.js'
import { type Record, recordCells } from './record.js'

/** Writes records as they come, in the format that was asked for; CSV is what an export writes, header and all. */
export function recordPrinter(output: Output): (record: Record) => void {
  if (output.format !== 'csv') return (record) => output.item(record, recordCells(record))
  output.text(csvHeader)
  return (record) => output.text(encodeCsvRecord(record))
}
