import { type KeyObject, X509Certificate } from 'node:crypto'
import type { CertificateAuthority, IssuedOperator } from '#ca'
import { createJoinToken, EnrollmentError, parseJoinToken, readCsr } from '#enrollment'
import type { OperatorRights } from '#policy'
import {
  type CertificateOfOperator,
  encodeInvitation,
  type Fingerprint,
  type InviteOperatorAnswer,
  type InviteOperatorRequest,
  type JoinUri,
  type OperatorFacts,
  type OperatorName,
  parseOperatorName,
  parseProfileName,
  type RevokeOperatorAnswer,
} from '#protocol'
import type { Registry } from '#registry'
import type { OperatorTerms } from './config-file.js'
import { ServerError } from './errors.js'
import { localAdmin } from './local-admin.js'
import { succeeds } from './succeeds.js'

export interface PeopleOptions {
  readonly ca: Pick<CertificateAuthority, 'issueOperator'>
  readonly registry: Pick<Registry, 'operators'>
  /** By the policy in force. */
  readonly rightsOf: (operator: OperatorName) => OperatorRights
  readonly terms: Required<OperatorTerms>
  readonly place: () => Omit<JoinUri, 'profile'>
  /** Makes the local admin's credential anew when it opens nothing any more. */
  readonly ensureAdmin: () => Promise<void>
  readonly now: () => number
}

const invitationSeconds = 3600
const hour = 3600
/** Names under which the service itself acts. */
const reserved: readonly OperatorName[] = [localAdmin, parseOperatorName('touchmark')]

/** Lets people in and throws them out. Whoever comes makes the key; the service never sees it. */
export class People {
  readonly #options: PeopleOptions

  constructor(options: PeopleOptions) {
    this.#options = options
  }

  /** Who lets others in gives nothing that he does not have. */
  mayInvite(by: OperatorName, whom: OperatorName): boolean {
    const { rightsOf } = this.#options
    return rightsOf(by).may('operators.invite') && rightsOf(by).covers(rightsOf(whom))
  }

  /** @throws ServerError OPERATOR_RESERVED, OPERATOR_UNBOUND; RegistryError INVITATION_INVALID, INVITATION_LIMIT */
  async invite(request: InviteOperatorRequest, by: OperatorFacts): Promise<InviteOperatorAnswer> {
    const { registry, terms, place, now } = this.#options
    const { operator: whom, validSeconds = invitationSeconds } = request
    if (reserved.includes(whom)) throw new ServerError('OPERATOR_RESERVED', `${whom} is not a name for a person`)
    this.#requireBound(whom)
    const most = terms.certificateMostHours * hour
    const ttlSeconds = request.ttlSeconds ?? Math.min(terms.certificateHours * hour, most)
    if (ttlSeconds > most) throw new ServerError('REQUEST_INVALID', `ttlSeconds: at most ${most} here`)
    const { id, token: secret, secretHash } = createJoinToken()
    const at = now()
    const notAfter = at + validSeconds * 1000
    await registry.operators.invite({ id, secretHash, whom, ttlSeconds, at, notAfter }, by)
    const uri = { ...place(), profile: parseProfileName('operators') }
    const invitation = encodeInvitation({ uri, secret })
    return { id, operator: whom, notAfter: new Date(notAfter).toISOString(), invitation }
  }

  /**
   * A first certificate, for the secret of an invitation.
   * @throws EnrollmentError; RegistryError INVITATION_…, OPERATOR_LIMIT; ServerError INVITATION_UNCOVERED
   */
  async join(bearer: string, csr: Uint8Array, peer: string): Promise<IssuedOperator> {
    const { registry, ca } = this.#options
    const invitation = registry.operators.requireInvitation(parseJoinToken(bearer))
    const { id, by, whom, ttlSeconds } = invitation
    // The policy may be another than when it was made.
    if (!this.#isBound(whom) || !this.mayInvite(by, whom)) {
      throw new ServerError('INVITATION_UNCOVERED', `${by} could not invite ${whom} now`)
    }
    registry.operators.requireRoom(whom)
    const { spki } = readCsr(csr)
    return ca.issueOperator(whom, { spki, ttlSeconds, facts: { invitation: id, peer } })
  }

  /**
   * The next certificate, of the same life and key, for one that was shown.
   * @throws ServerError OPERATOR_NOT_ADMITTED, OPERATOR_UNBOUND; EnrollmentError CSR_INVALID, CSR_KEY_MISMATCH; RegistryError
   */
  async renew(shown: Fingerprint, csr: Uint8Array, peer: string | undefined): Promise<IssuedOperator> {
    const { registry, ca, terms } = this.#options
    const present = registry.operators.certificate(shown)
    if (present === undefined) throw new ServerError('OPERATOR_NOT_ADMITTED', 'this certificate admits no operator')
    this.#requireBound(present.operator)
    registry.operators.requireRoom(present.operator)
    const { spki, publicKey } = readCsr(csr)
    requireSameKey(present, publicKey)
    const life = Math.round((present.notAfter - present.notBefore) / 1000)
    const facts = { presentedSerial: present.serial, ...(peer !== undefined && { peer }) }
    const ttlSeconds = Math.min(life, terms.certificateMostHours * hour)
    return ca.issueOperator(present.operator, { spki, ttlSeconds, facts })
  }

  /**
   * Ends all certificates of an operator and what invites him or others by him, or the one certificate.
   * @throws ServerError NOT_FOUND
   */
  async revoke(which: string, by: OperatorFacts): Promise<RevokeOperatorAnswer> {
    const { operators } = this.#options.registry
    const one = operators.certificates().find(({ fingerprint }) => fingerprint === which)
    const operator = one?.operator ?? parseOperatorName(which)
    const ended = one ? { certificates: 1, invitations: 0 } : operators.endsWith(operator)
    if (ended.certificates + ended.invitations === 0) {
      throw new ServerError('NOT_FOUND', `there is no operator or certificate ${which}`)
    }
    const { recorded } = operators.revoke(operator, one?.fingerprint, by)
    const answer = { operator, ...ended, recorded: await succeeds(recorded) }
    // A new one would have to be recorded too; the next look makes it.
    if (operator === localAdmin && answer.recorded) await this.#options.ensureAdmin()
    return answer
  }

  /** @throws ServerError OPERATOR_UNBOUND */
  #requireBound(operator: OperatorName): void {
    if (this.#isBound(operator)) return
    throw new ServerError(
      'OPERATOR_UNBOUND',
      `the policy gives ${operator} nothing: first bind the name to a role there`,
    )
  }

  /** A name that may do nothing means nobody yet: who holds it would get whatever a later policy binds to it. */
  #isBound(operator: OperatorName): boolean {
    return this.#options.rightsOf(operator).grants.length > 0
  }
}

/** Who may use a key for a moment gets no key of his own certified. */
function requireSameKey({ certificate }: CertificateOfOperator, key: KeyObject): void {
  if (new X509Certificate(certificate).publicKey.equals(key)) return
  throw new EnrollmentError('CSR_KEY_MISMATCH', 'the CSR is for another key than the certificate that was shown')
}
