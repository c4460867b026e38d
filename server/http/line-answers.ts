import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { asError, encodeProblemLine } from '#protocol'
import { reportProblem } from './problems.js'

/* Answers that come line by line: their status goes out before their end is known. */

/** Aborted when the one who asked has gone, or has it all. */
export function leavingOf({ raw }: FastifyReply): AbortSignal {
  const leaving = new AbortController()
  raw.once('close', () => leaving.abort())
  return leaving.signal
}

/** Sends the lines as they come; where they break off before one who still reads, the last one says why. */
export function sendLines(
  request: FastifyRequest,
  reply: FastifyReply,
  lines: AsyncIterable<Uint8Array | string>,
  leaving: AbortSignal,
): FastifyReply {
  const explain = (error: unknown) => encodeProblemLine(reportProblem(asError(error), request))
  return reply.type('application/x-ndjson').send(Readable.from(endingInWords(lines, leaving, explain)))
}

/** The same, as long as the one who reads may: whoever is revoked meanwhile gets nothing more. */
export async function* whileAllowed<Piece>(
  pieces: AsyncIterable<Piece>,
  requireStill: () => void,
): AsyncGenerator<Piece, void> {
  for await (const piece of pieces) {
    requireStill()
    yield piece
  }
}

/** The same once its first piece is there: what is wrong from the beginning has an answer of its own. */
export async function begun<Piece>(pieces: AsyncIterable<Piece>): Promise<AsyncIterable<Piece>> {
  const iterator = pieces[Symbol.asyncIterator]()
  const first = await iterator.next()
  return (async function* () {
    if (first.done) return
    yield first.value
    yield* { [Symbol.asyncIterator]: () => iterator }
  })()
}

/** The same, and where it breaks off before one who still reads, what was wrong as its last piece. */
export async function* endingInWords<Piece, Words>(
  pieces: AsyncIterable<Piece>,
  left: AbortSignal,
  explain: (error: unknown) => Words,
): AsyncGenerator<Piece | Words, void> {
  try {
    yield* pieces
  } catch (error) {
    if (!left.aborted) yield explain(error)
  }
}
