import { type CsvItem, csvHeader, encodeCsvRecord } from '../../export/csv.js'
import type { Cell, Output } from '../../output.js'
import { type Record, recordCells } from './record.js'

/** Writes records as they come, in the format that was asked for. */
export function recordPrinter(output: Output): (record: Record) => void {
  const print = itemPrinter(output)
  return (record) => print(record, () => recordCells(record))
}

/** The same for what is a record and more, or less, and has cells of its own; CSV is what an export writes, header and all. */
export function itemPrinter(output: Output): (item: CsvItem, cells: () => readonly Cell[]) => void {
  if (output.format !== 'csv') return (item, cells) => output.item(item, cells())
  output.text(csvHeader)
  return (item) => output.text(encodeCsvRecord(item))
}
