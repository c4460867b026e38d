import { type DeviceId, parseDeviceId } from '#protocol'

type Pieces = AsyncIterable<Uint8Array | string>

/** The records in NDJSON that comes in pieces of whole lines, one by one. */
export async function* recordsIn(pieces: Pieces): AsyncGenerator<unknown, void> {
  for await (const lines of linesIn(pieces)) {
    for (const line of lines) {
      const record: unknown = JSON.parse(line)
      yield record
    }
  }
}

/** Of the same, those lines that are about a device which may be seen when they are passed on. */
export async function* linesAbout(pieces: Pieces, maySee: (device: DeviceId) => boolean): AsyncGenerator<string, void> {
  for await (const lines of linesIn(pieces)) {
    const seen = lines.filter((line) => {
      const record: unknown = JSON.parse(line)
      if (typeof record !== 'object' || record === null || !('device' in record)) return false
      return typeof record.device === 'string' && maySee(parseDeviceId(record.device))
    })
    if (seen.length > 0) yield `${seen.join('\n')}\n`
  }
}

async function* linesIn(pieces: Pieces): AsyncGenerator<readonly string[], void> {
  const decoder = new TextDecoder()
  for await (const piece of pieces) {
    const text = typeof piece === 'string' ? piece : decoder.decode(piece)
    yield text.split('\n').filter((line) => line !== '')
  }
}
