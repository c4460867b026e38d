import { type Fingerprint, messageOf } from '#protocol'
import type { CertificateAuthority, ServerCredential } from '#ca'

const lookEveryMilliseconds = 3_600_000

export interface UpkeepOptions {
  readonly ca: Pick<CertificateAuthority, 'issuing' | 'renewIssuingIfDue' | 'issueServer'>
  /** What the certificate of the listeners names. */
  readonly hosts: readonly string[]
  readonly ensureOperatorCredential: () => Promise<void>
  /** Told why something could not be renewed; it is tried again at the next look. */
  readonly warn: (sentence: string) => void
  readonly now: () => number
}

interface ServerInUse {
  readonly credential: ServerCredential
  readonly issuer: Fingerprint
  readonly dueAt: number
}

/**
 * Renews what a service that runs for months would outlive: the issuing CA, the certificate of its listeners, the
 * credential of its own operator. Each while a third of its life is left, so that many looks may fail.
 */
export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #installs: ((credential: ServerCredential) => void)[] = []
  #server: ServerInUse

  static async open(options: UpkeepOptions): Promise<Upkeep> {
    await options.ensureOperatorCredential()
    return new Upkeep(options, await issueServer(options))
  }

  private constructor(options: UpkeepOptions, server: ServerInUse) {
    this.#options = options
    this.#server = server
  }

  /** What the listeners show now. */
  get server(): ServerCredential {
    return this.#server.credential
  }

  /** At once, after it was revoked. */
  ensureOperatorCredential(): Promise<void> {
    return this.#options.ensureOperatorCredential()
  }

  /** Called with every new credential of the listeners. */
  onServerRenewed(install: (credential: ServerCredential) => void): void {
    this.#installs.push(install)
  }

  /** Looks now and then until it is told to stop. */
  start(): () => void {
    const timer = setInterval(() => void this.renewDue(), lookEveryMilliseconds).unref()
    return () => clearInterval(timer)
  }

  /** One look. The issuing CA comes first, because what it signs does not outlive it. */
  async renewDue(): Promise<void> {
    const { ca, ensureOperatorCredential } = this.#options
    await this.#attempt('the issuing CA', () => ca.renewIssuingIfDue())
    await this.#attempt('the certificate of the listeners', () => this.#renewServer())
    await this.#attempt("the operator's credential", ensureOperatorCredential)
  }

  /** Under a new issuing CA at once, because with the credential the listeners get the CAs to trust. */
  async #renewServer(): Promise<void> {
    const { ca, now } = this.#options
    const { issuer, dueAt } = this.#server
    if (now() < dueAt && issuer === ca.issuing.spkiHash) return
    this.#server = await issueServer(this.#options)
    for (const install of this.#installs) install(this.server)
  }

  async #attempt(what: string, renew: () => Promise<void>): Promise<void> {
    try {
      await renew()
    } catch (error) {
      const why = messageOf(error)
      this.#options.warn(`could not renew ${what}: ${why}`)
    }
  }
}

async function issueServer({ ca, hosts, now }: UpkeepOptions): Promise<ServerInUse> {
  const issuer = ca.issuing.spkiHash
  const credential = await ca.issueServer(hosts)
  return { credential, issuer, dueAt: now() + ((credential.notAfter.getTime() - now()) * 2) / 3 }
}

/** The same as listeners take it. */
export function tlsOf({ privateKeyPem, chainPem }: ServerCredential): { readonly key: string; readonly cert: string } {
  return { key: privateKeyPem, cert: chainPem }
}
