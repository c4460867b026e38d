import { CsvParser, type CsvRow, maxRowCharacters } from './csv-parser.js'
import { CliError } from './errors.js'

/** The rows of a CSV file in UTF-8, as its bytes come: some at a time, whatever its size. @throws CliError CSV_INVALID */
export async function* readCsv(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<readonly CsvRow[], void> {
  const parser = new CsvParser()
  let isFirst = true
  for await (const lines of wholeLines(bytes)) {
    if (isFirst) requireUtf8(lines)
    yield* parsed(parser, isFirst ? withoutMark(lines) : lines)
    isFirst = false
  }
  yield parser.end()
}

/** No character of UTF-8 has the byte of a line feed inside it, so that what ends with one can be decoded alone. */
async function* wholeLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let rest = Buffer.alloc(0)
  for await (const piece of bytes) {
    const all = Buffer.concat([rest, piece])
    const end = all.lastIndexOf(lineFeed) + 1
    if (end > 0) yield all.subarray(0, end)
    rest = all.subarray(end)
    if (rest.length > maxLineBytes) throw invalid(`a line is longer than ${maxLineBytes} bytes; is this a CSV file?`)
  }
  if (rest.length > 0) yield rest
}

const lineFeed = 0x0a
/** A character takes at most four bytes. */
const maxLineBytes = 4 * maxRowCharacters

/** In pieces, so that what is before a mistake is still read and what is wrong has its row. */
function* parsed(parser: CsvParser, lines: Uint8Array): Iterable<readonly CsvRow[]> {
  const text = decoded(lines)
  if (text !== undefined) return yield parser.push(text)
  for (let from = 0; from < lines.length;) {
    const end = lines.indexOf(lineFeed, from) + 1 || lines.length
    const line = decoded(lines.subarray(from, end))
    if (line === undefined) {
      throw invalid(
        `row ${parser.row}: not UTF-8, perhaps Latin-1 or Windows-1252. ` +
          'Save it as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8',
      )
    }
    yield parser.push(line)
    from = end
  }
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const utf8Mark = [0xef, 0xbb, 0xbf]

function withoutMark(bytes: Uint8Array): Uint8Array {
  return beginsWith(bytes, utf8Mark) ? bytes.subarray(utf8Mark.length) : bytes
}

/** What people save by mistake, told by how it begins. Without a mark, every other byte of Latin text in UTF-16 is zero. */
function requireUtf8(bytes: Uint8Array): void {
  const isUtf16 = beginsWith(bytes, [0xff, 0xfe]) || beginsWith(bytes, [0xfe, 0xff]) || bytes.subarray(0, 4).includes(0)
  if (isUtf16) throw invalid('the file is UTF-16. Save it as UTF-8, or convert it: iconv -f UTF-16 -t UTF-8')
  const isZip = beginsWith(bytes, [0x50, 0x4b, 0x03, 0x04])
  if (isZip) throw invalid('the file is a spreadsheet (or another ZIP file). Export it as CSV in UTF-8')
}

function beginsWith(bytes: Uint8Array, beginning: readonly number[]): boolean {
  return beginning.every((byte, at) => bytes[at] === byte)
}

function invalid(problem: string): CliError {
  return new CliError('CSV_INVALID', problem)
}
