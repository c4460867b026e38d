import { Agent, type IncomingMessage, request as httpRequest } from 'node:http'
import type { Duplex } from 'node:stream'
import { channelBindingLabel, CodedError, type Decoder, decodeJson, joinLimits } from '#protocol'
import type { Endpoint, TlsConnection } from './device-key.js'
import { AgentError, type Refusal } from './errors.js'
import { connectError, place } from './tls.js'

export interface ServiceLimits {
  /** From the request's first byte to the answer's last. */
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
}

const defaultServiceLimits: ServiceLimits = { timeoutMs: 30_000, maxAnswerBytes: joinLimits.maxRequestBytes }

/** RFC 9110 §15.3.3: understood, and not decided yet; nothing that was asked for comes with it. */
const accepted = 202

export interface Route {
  readonly method: string
  readonly path: string
}

/** HTTP with the service over one TLS connection that is already verified; every request goes over this very one. */
export class ServiceConnection {
  readonly peerChain: readonly Uint8Array[]
  readonly #connection: TlsConnection
  readonly #endpoint: Endpoint
  readonly #limits: ServiceLimits
  readonly #agent: Agent

  constructor(connection: TlsConnection, endpoint: Endpoint, limits: ServiceLimits = defaultServiceLimits) {
    this.peerChain = connection.peerChain
    this.#connection = connection
    this.#endpoint = endpoint
    this.#limits = limits
    this.#agent = new OneConnectionAgent(connection.stream)
  }

  /** RFC 9266: what only the two ends of this connection can know. @throws AgentError BINDING_UNAVAILABLE */
  async channelBinding(): Promise<Uint8Array> {
    try {
      return await this.#connection.exportKeyingMaterial(32, channelBindingLabel)
    } catch (cause) {
      throw new AgentError('BINDING_UNAVAILABLE', 'this TLS connection exports no keying material', { cause })
    }
  }

  /** @throws AgentError REFUSED, TIMED_OUT, CONNECTION_LOST, CERTIFICATE_REFUSED, ANSWER_TOO_LARGE, ANSWER_INVALID */
  async send<T>(route: Route, decode: Decoder<T>, body: unknown, bearer?: string): Promise<T> {
    return this.#read(route, await this.#exchange(route, JSON.stringify(body), bearer), decode)
  }

  /** A question, answered with when to ask again where the service says so. @throws as {@link send} */
  async ask<T>(route: Route, decode: Decoder<T>): Promise<{ readonly answer: T; readonly retryAfterSeconds?: number }> {
    const said = await this.#exchange(route)
    const answer = this.#read(route, said, decode)
    const { retryAfterSeconds } = said
    return { answer, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) }
  }

  close(): void {
    this.#agent.destroy()
    this.#connection.stream.destroy()
  }

  #read<T>(route: Route, answer: Answer, decode: Decoder<T>): T {
    const isAnswered = answer.status >= 200 && answer.status <= 299 && answer.status !== accepted
    if (!isAnswered) throw refused(this.#endpoint, answer)
    try {
      return decodeJson(answer.body, decode, `answer of ${route.path}`)
    } catch (cause) {
      if (!(cause instanceof CodedError)) throw cause
      throw new AgentError('ANSWER_INVALID', `${place(this.#endpoint)}: ${cause.message}`, { cause })
    }
  }

  async #exchange(route: Route, body?: string, bearer?: string): Promise<Answer> {
    if (this.#connection.stream.destroyed) throw lost(this.#endpoint)
    const deadline = AbortSignal.timeout(this.#limits.timeoutMs)
    const request = httpRequest({
      agent: this.#agent,
      method: route.method,
      path: route.path,
      signal: deadline,
      headers: {
        host: place(this.#endpoint),
        accept: 'application/json, application/problem+json',
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      },
    })
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        request.once('response', resolve).on('error', reject).end(body)
      })
      return await readAnswer(response, this.#limits.maxAnswerBytes)
    } catch (cause) {
      request.destroy()
      if (cause instanceof AgentError) throw cause
      if (deadline.aborted) {
        const waited = `${this.#limits.timeoutMs / 1000} s`
        throw new AgentError('TIMED_OUT', `${place(this.#endpoint)} did not answer within ${waited}`, { cause })
      }
      throw lost(this.#endpoint, cause)
    }
  }
}

/** Hands out the one stream that it was given: what is bound to a connection must not move to another. */
class OneConnectionAgent extends Agent {
  readonly #stream: Duplex

  constructor(stream: Duplex) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#stream = stream
  }

  override createConnection(): Duplex {
    return this.#stream
  }

  // The stream need not be a socket: there are no probes to set, and it waits for its next request with the agent.
  override keepSocketAlive(): boolean {
    return true
  }
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly retryAfterSeconds?: number
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Answer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) throw new AgentError('ANSWER_TOO_LARGE', `expected an answer of at most ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  const retryAfterSeconds = Number(response.headers['retry-after'])
  return {
    status: response.statusCode ?? 0,
    body: Buffer.concat(chunks).toString('utf8'),
    ...(Number.isSafeInteger(retryAfterSeconds) && retryAfterSeconds >= 0 ? { retryAfterSeconds } : {}),
  }
}

/** RFC 9457, or whatever a proxy in between says instead. */
function refused(endpoint: Endpoint, answer: Answer): AgentError {
  const problem = readProblem(answer.body)
  if (problem === undefined) {
    const expected = `expected the answer of a Touchmark service, got HTTP status ${answer.status}`
    return new AgentError('ANSWER_INVALID', `${place(endpoint)}: ${expected}; check host and port of the join URI`)
  }
  const refusal: Refusal = {
    status: answer.status,
    code: problem.code,
    ...(answer.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: answer.retryAfterSeconds }),
  }
  const verdict = answer.status === accepted ? 'has not decided' : 'refused'
  return new AgentError('REFUSED', `the service ${verdict} (${problem.code}): ${problem.says}`, { refusal })
}

function readProblem(body: string): { code: string; says: string } | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('code' in value)) return undefined
  const { code } = value
  if (typeof code !== 'string' || !/^[A-Za-z0-9_.-]{1,64}$/.test(code)) return undefined
  const says = 'detail' in value ? value.detail : 'title' in value ? value.title : ''
  return { code, says: printable(typeof says === 'string' ? says : '') }
}

/** What a server says goes to a terminal and into a log: one line, no control characters. */
function printable(text: string): string {
  return text.slice(0, 500).replace(/\p{C}/gu, '�')
}

function lost(endpoint: Endpoint, cause?: unknown): AgentError {
  // In TLS 1.3 a server refuses the client's certificate after the client believes that all is well.
  const told = cause instanceof Error ? connectError(cause, endpoint) : undefined
  if (told?.code === 'CERTIFICATE_REFUSED') return told
  return new AgentError('CONNECTION_LOST', `${place(endpoint)} closed the connection before it answered`, { cause })
}
