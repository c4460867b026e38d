import { type IncomingMessage } from 'node:http'
import { request } from 'node:https'

/** Gets a JSON document from an issuer. @throws Error for whatever reason it cannot be had */
export type FetchDocument = (url: string, ca: string | undefined) => Promise<unknown>

/** From the request's first byte to the answer's last. */
const timeoutMs = 5_000
/** Issuers of the whole world have some 10 kB of keys. */
const maxDocumentBytes = 256 * 1024

/** Over HTTPS, from just this address: an answer that sends us elsewhere is none, and neither is one without an end. */
export const fetchDocument: FetchDocument = async (url, ca) => {
  if (!url.startsWith('https://')) throw new TypeError(`${url} is not asked: only https is`)
  const signal = AbortSignal.timeout(timeoutMs)
  const asking = request(url, { agent: false, signal, headers: { accept: 'application/json' }, ...(ca && { ca }) })
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      asking.once('response', resolve).on('error', reject).end()
    })
    if (answer.statusCode !== 200) throw new TypeError(`${url} answers with status ${answer.statusCode ?? 0}`)
    return JSON.parse(await readText(answer, url)) as unknown
  } finally {
    asking.destroy()
  }
}

async function readText(answer: IncomingMessage, url: string): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxDocumentBytes) throw new TypeError(`${url} answers with more than ${maxDocumentBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
