import { type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { AuditError } from '../errors.js'

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly body?: string
  /** PEM; default: the CAs of the system. */
  readonly ca?: string | undefined
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly body: string
}

/** A checkpoint with more signatures than any specification asks for fits; whoever sends more is not heard. */
const maxAnswerBytes = 64 * 1024

/**
 * One request, and the whole of a short answer. Redirections are answers like any other: nobody but who was named in the
 * settings gets a checkpoint, or credentials that stand in the address.
 * @throws AuditError AUDIT_UNREACHABLE in words that hold no part of the address but its host
 */
export async function exchange(url: URL, { method, body, ca, signal }: Exchange): Promise<Answer> {
  const headers = body === undefined ? {} : { 'content-type': 'text/plain; charset=utf-8' }
  try {
    const response = await send(url, { method, headers, signal, ...(ca !== undefined && { ca }) }, body)
    return { status: response.statusCode ?? 0, body: await readAll(response) }
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    throw new AuditError('AUDIT_UNREACHABLE', signal.aborted ? 'no answer in time' : reasonOf(cause), { cause })
  }
}

function send(url: URL, options: RequestOptions & { ca?: string }, body: string | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? tlsRequest(url, options) : plainRequest(url, options)
    request.once('response', resolve).on('error', reject)
    request.end(body)
  })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxAnswerBytes)
      throw new AuditError('AUDIT_UNREACHABLE', `an answer of more than ${maxAnswerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return error.message !== '' ? error.message : 'code' in error ? String(error.code) : error.name
}
