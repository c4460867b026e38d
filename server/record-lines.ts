/** The records in NDJSON that comes in pieces of whole lines, one by one. */
export async function* recordsIn(pieces: AsyncIterable<Uint8Array | string>): AsyncGenerator<unknown, void> {
  const decoder = new TextDecoder()
  for await (const piece of pieces) {
    const text = typeof piece === 'string' ? piece : decoder.decode(piece)
    for (const line of text.split('\n')) {
      if (line === '') continue
      const record: unknown = JSON.parse(line)
      yield record
    }
  }
}
