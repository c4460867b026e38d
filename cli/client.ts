import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { buffer, text } from 'node:stream/consumers'
import {
  type ApplyPcrPolicyAnswer,
  type ApplyPolicyAnswer,
  type ApprovalView,
  type AttestationView,
  type AuditCheckpoint,
  type CreateTokenAnswer,
  type DevicePage,
  type DenyAnswer,
  type DeviceView,
  type ErasePayloadsAnswer,
  type Explanation,
  type ImportDevicesAnswer,
  type InviteOperatorAnswer,
  isProblemLine,
  type KeptPolicyView,
  type KickAnswer,
  type LearnPcrsAnswer,
  type LockAnswer,
  type LockView,
  type OperatorCertificateAnswer,
  type OperatorView,
  type OwnView,
  type PayloadDisclosureView,
  type PcrPolicySourceView,
  type PcrPolicyView,
  type PolicyDiff,
  type PolicyVersionView,
  type PolicyView,
  type Problem,
  type RevokeAnswer,
  type RevokeOperatorAnswer,
  type RollbackPolicyAnswer,
  type RotateAnswer,
  type RotateKeyAnswer,
  type RouteName,
  routes,
  type SessionView,
  type StatusView,
  type TokenView,
  type TpmMakerView,
} from '#protocol'
import type { Credential } from './credential.js'
import { CliError, ServerRefusal } from './errors.js'
import { describeCause, isUntrusted } from './untrusted.js'

/** What each operator's route answers with. */
export interface Answers {
  readonly status: StatusView
  readonly listDevices: DevicePage
  readonly getDevice: DeviceView
  readonly registerDevice: DeviceView
  readonly importDevices: ImportDevicesAnswer
  readonly labelDevice: DeviceView
  readonly rotateDevices: RotateAnswer
  readonly revokeDevice: RevokeAnswer
  readonly listApprovals: readonly ApprovalView[]
  readonly approveJoin: DeviceView
  readonly denyJoin: DenyAnswer
  readonly listLocks: readonly LockView[]
  readonly addLock: LockAnswer
  readonly removeLock: LockView
  readonly joinOperator: OperatorCertificateAnswer
  readonly listOperators: readonly OperatorView[]
  readonly ownOperator: OwnView
  readonly inviteOperator: InviteOperatorAnswer
  readonly renewOperator: OperatorCertificateAnswer
  readonly revokeOperator: RevokeOperatorAnswer
  readonly listTokens: readonly TokenView[]
  readonly createToken: CreateTokenAnswer
  readonly revokeToken: TokenView
  readonly listSessions: readonly SessionView[]
  readonly kickSession: KickAnswer
  readonly getPolicy: PolicyView
  readonly applyPolicy: ApplyPolicyAnswer
  readonly listPolicyVersions: readonly PolicyVersionView[]
  readonly getPolicyVersion: KeptPolicyView
  readonly diffPolicy: PolicyDiff
  readonly rollbackPolicy: RollbackPolicyAnswer
  readonly explainPolicy: Explanation
  readonly listTpmMakers: readonly TpmMakerView[]
  readonly listPcrPolicies: readonly PcrPolicyView[]
  readonly getPcrPolicy: PcrPolicySourceView
  readonly applyPcrPolicy: ApplyPcrPolicyAnswer
  readonly removePcrPolicy: PcrPolicySourceView
  readonly learnPcrs: LearnPcrsAnswer
  readonly getAttestation: AttestationView
  readonly auditCheckpoint: AuditCheckpoint
  readonly rotateAuditKey: RotateKeyAnswer
  readonly disclosePayload: PayloadDisclosureView
  readonly erasePayloads: ErasePayloadsAnswer
}

export interface Call {
  /** What replaces `:id` in the path. */
  readonly id?: string
  readonly query?: Readonly<Record<string, string | undefined>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is, as YAML. */
  readonly text?: string
  /** Shown instead of a certificate. */
  readonly bearer?: string
}

/** A server is known by its root; one who has no certificate yet shows none. */
export type Shown = Credential | Pick<Credential, 'ca'>

/** What to show from now on; `ask` gets the next certificate for the present one. */
export type KeepFresh = (present: Shown, ask: (csr: string) => Promise<OperatorCertificateAnswer>) => Promise<Shown>

/** The operators' API as one operator sees it: HTTPS with the operator's certificate, the server known by our root. */
export class ApiClient {
  readonly #server: URL
  readonly #keepFresh: KeepFresh | undefined
  #shown: Shown
  #refreshing: Promise<void> | undefined
  /** Keeps connections for the next call. None is resumed: each shows its certificate anew. */
  readonly #agent = new Agent({ keepAlive: true, maxCachedSessions: 0 })

  constructor(server: URL, shown: Shown, keepFresh?: KeepFresh) {
    this.#server = server
    this.#shown = shown
    this.#keepFresh = keepFresh
  }

  /** @throws ServerRefusal with the server's code; CliError UNREACHABLE, SERVER_NOT_TRUSTED, BAD_ANSWER */
  async call<Name extends keyof Answers>(name: Name, call: Call = {}): Promise<Answers[Name]> {
    const answer = parseJson(await this.text(name, call))
    if (answer === undefined) throw new CliError('BAD_ANSWER', `${this.#server.origin} answered ${name} without JSON`)
    // Our own root vouches for the sender, and its schemas are held to these same types where it is compiled.
    return answer as Answers[Name]
  }

  /** The answer as it is. @throws ServerRefusal with the server's code; CliError UNREACHABLE, SERVER_NOT_TRUSTED */
  async text(name: RouteName, call: Call = {}): Promise<string> {
    const response = await this.#send(name, call)
    const body = await text(response)
    if ((response.statusCode ?? 500) >= 400) throw refusal(response, body)
    return body
  }

  /** What is no JSON, as it is. */
  async bytes(name: RouteName, call: Call = {}): Promise<Buffer> {
    const response = await this.#send(name, call)
    if ((response.statusCode ?? 500) >= 400) throw refusal(response, await text(response))
    try {
      return await buffer(response)
    } catch (cause) {
      throw new CliError('UNREACHABLE', `${this.#server.origin} closed the connection midway`, { cause })
    }
  }

  /** What is no JSON, piece by piece. @throws ServerRefusal with the server's code; CliError UNREACHABLE, SERVER_NOT_TRUSTED */
  async *pieces(name: RouteName, call: Call = {}): AsyncIterable<Buffer> {
    const response = await this.#send(name, call)
    if ((response.statusCode ?? 500) >= 400) throw refusal(response, await text(response))
    for await (const piece of this.#chunks(response)) if (Buffer.isBuffer(piece)) yield piece
  }

  /** One JSON document a line (NDJSON), as long as the server sends. @throws ServerRefusal, also from its last line */
  async *lines(name: RouteName, call: Call = {}): AsyncIterable<string> {
    const response = await this.#send(name, call)
    if ((response.statusCode ?? 500) >= 400) throw refusal(response, await text(response))
    let rest = ''
    for await (const chunk of this.#chunks(response.setEncoding('utf8'))) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (isProblemLine(line)) throw refusalIn(line)
        yield line
      }
    }
  }

  async *#chunks(response: IncomingMessage): AsyncIterable<string | Buffer> {
    try {
      // Typed as `any`; text where an encoding is set, else bytes.
      for await (const chunk of response as AsyncIterable<string | Buffer>) yield chunk
    } catch (cause) {
      throw new CliError('UNREACHABLE', `${this.#server.origin} closed the connection midway`, { cause })
    } finally {
      response.destroy()
    }
  }

  async #send(name: RouteName, call: Call): Promise<IncomingMessage> {
    await (this.#refreshing ??= this.#refresh())
    return this.#request(name, call)
  }

  /** Once for all calls that come meanwhile, and again at the next one. */
  async #refresh(): Promise<void> {
    const ask = async (csr: string) => {
      const response = await this.#request('renewOperator', { body: { csr } })
      const body = await text(response)
      if (response.statusCode !== 201) throw refusal(response, body)
      return JSON.parse(body) as OperatorCertificateAnswer
    }
    if (this.#keepFresh) this.#shown = await this.#keepFresh(this.#shown, ask)
    this.#refreshing = undefined
  }

  #request(name: RouteName, call: Call): Promise<IncomingMessage> {
    const { method, path } = routes[name]
    const url = new URL(path.replace(':id', encodeURIComponent(call.id ?? '')), this.#server)
    for (const [key, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) url.searchParams.set(key, value)
    const content = contentOf(call)
    const { ca, ...own } = this.#shown
    const identity = 'key' in own ? { cert: own.certificate, key: own.key } : {}
    return new Promise((resolve, reject) => {
      const sending = request(url, {
        method,
        ...identity,
        ca,
        agent: this.#agent,
        minVersion: 'TLSv1.3',
        headers: {
          ...(content && { 'content-type': content.type }),
          ...(call.bearer !== undefined && { authorization: `Bearer ${call.bearer}` }),
        },
      })
      sending.on('response', resolve)
      sending.on('error', (cause) => reject(unreachable(this.#server, cause)))
      sending.end(content?.text)
    })
  }
}

function contentOf({ body, text }: Call): { readonly type: string; readonly text: string } | undefined {
  if (text !== undefined) return { type: 'application/yaml', text }
  return body === undefined ? undefined : { type: 'application/json', text: JSON.stringify(body) }
}

function refusal(response: IncomingMessage, body: string): ServerRefusal {
  const status = response.statusCode ?? 500
  const problem = parseJson(body)
  if (isProblem(problem)) return new ServerRefusal(status, problem.code, problem.detail ?? problem.title)
  return new ServerRefusal(status, 'BAD_ANSWER', `status ${status}, and no problem document that says why`)
}

/** Of what the server could not give to its end. */
function refusalIn(line: string): ServerRefusal {
  const last = parseJson(line)
  const problem = typeof last === 'object' && last !== null && 'problem' in last ? last.problem : undefined
  if (!isProblem(problem)) return new ServerRefusal(500, 'BAD_ANSWER', 'the answer breaks off and does not say why')
  const status = 'status' in problem && typeof problem.status === 'number' ? problem.status : 500
  return new ServerRefusal(status, problem.code, problem.detail ?? problem.title)
}

function isProblem(value: unknown): value is Pick<Problem, 'code' | 'title' | 'detail'> {
  if (typeof value !== 'object' || value === null || !('code' in value) || !('title' in value)) return false
  const detail = 'detail' in value ? value.detail : ''
  return typeof value.code === 'string' && typeof value.title === 'string' && typeof detail === 'string'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(server: URL, cause: Error): CliError {
  const reason = describeCause(cause)
  if (isUntrusted(reason)) {
    return new CliError(
      'SERVER_NOT_TRUSTED',
      `${server.origin} is not the server that this credential belongs to (${reason}): ` +
        'expected a certificate of the root in ca.crt for this host name. Check --server and --identity.',
      { cause },
    )
  }
  const advice = 'Is "touchmark up" running there? Another address: --server URL or TOUCHMARK_SERVER.'
  return new CliError('UNREACHABLE', `cannot reach ${server.origin} (${reason}). ${advice}`, { cause })
}
