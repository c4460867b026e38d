import { type IssueContext, type RenewContext, renewalWindow, type RunContext } from '#ca'
import {
  type AttestationResult,
  type DeviceIdentity,
  type IssuedCertificate,
  type JoinAnswer,
  type Labels,
  type OidcJoinAnswer,
  type PcrVerdict,
} from '#protocol'
import type { RunJoin, TokenCredential } from '#registry'
import { encodePem } from '#x509'
import type { Channel } from './channel.js'
import type { EnrollmentOptions } from './options.js'
import type { Verdicts } from './pcr-policy/verdicts.js'
import type { Turnstile } from './turnstile.js'

export interface IssuanceOptions extends Pick<EnrollmentOptions, 'ca' | 'broker' | 'now'> {
  readonly verdicts: Verdicts
  readonly turnstile: Turnstile
}

/** The key that a renewal is for, and what evidence shows of it and of the machine, where some came. */
export interface RenewalKey extends Pick<RenewContext, 'attestation'> {
  readonly spki: Uint8Array
  readonly pcr?: PcrVerdict | undefined
  readonly eventLog?: Uint8Array | undefined
}

type FromPeer<Context> = Context & Pick<Channel, 'peer'>

/** From what was proven to the certificate, and to all that a device is told with it; no two in one turn of the event loop. */
export class Issuance {
  readonly #options: IssuanceOptions

  constructor(options: IssuanceOptions) {
    this.#options = options
  }

  /** The event log is the one that the attestation judged. @throws RegistryError, CaError */
  async join(
    attestation: AttestationResult,
    context: FromPeer<IssueContext>,
    eventLog?: Uint8Array,
  ): Promise<JoinAnswer> {
    const { ca, verdicts, turnstile } = this.#options
    await turnstile.pass()
    const issued = await ca.issue(attestation, context)
    await turnstile.pass()
    await verdicts.note(attestation.pcr, { ...issued, peer: context.peer, eventLog })
    return this.#answer(issued)
  }

  /** @throws RegistryError, CaError */
  async renew(identity: DeviceIdentity, key: RenewalKey, context: FromPeer<RenewContext>): Promise<JoinAnswer> {
    const { ca, verdicts, turnstile } = this.#options
    const { spki, pcr, eventLog, ...proven } = key
    await turnstile.pass()
    const issued = await ca.renew(identity, spki, { ...context, ...proven })
    await turnstile.pass()
    await verdicts.note(pcr, { ...issued, peer: context.peer, eventLog })
    return this.#answer(issued)
  }

  /** One answer for all devices of a run. They are not renewed, so the window for it lies at their end. */
  async joinRun(join: RunJoin, context: RunContext): Promise<OidcJoinAnswer> {
    const issued = await this.#options.ca.issueRun(join, context)
    const end = new Date(Math.min(...issued.map(({ notAfter }) => notAfter.getTime())))
    return { run: join.run, devices: issued.map(deviceIn), ...this.#common(), renewal: { start: end, end } }
  }

  #answer(issued: IssuedCertificate): JoinAnswer {
    return { ...deviceIn(issued), ...this.#common(), renewal: renewalWindow(issued) }
  }

  /** What every device is told, whichever it is. */
  #common(): Pick<JoinAnswer, 'chain' | 'trustBundle' | 'broker' | 'serverTime'> {
    const { ca, broker, now } = this.#options
    const trustBundle = { sequence: 1, certificates: [ca.root.pem] }
    return { chain: ca.chain, trustBundle, broker, serverTime: new Date(now()) }
  }
}

function deviceIn({ deviceId, instanceId, der }: IssuedCertificate): OidcJoinAnswer['devices'][number] {
  return { deviceId, instanceId, certificate: encodePem('CERTIFICATE', der) }
}

/** What is recorded with a certificate of how it was asked for. */
export function contextOf(channel: Channel, reported?: Labels, token?: TokenCredential): FromPeer<IssueContext> {
  return {
    peer: channel.peer,
    ...(reported !== undefined && { reported }),
    ...(token !== undefined && { token }),
  }
}
