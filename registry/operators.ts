import { timingSafeEqual } from 'node:crypto'
import {
  type CertificateOfOperator,
  type CertificateSerial,
  decodeHex,
  type Fingerprint,
  type OperatorFacts,
  type OperatorName,
  type RegistryEvent,
  type TokenId,
} from '#protocol'
import { isEndedWith } from './apply-operators.js'
import type { TokenCredential } from './enrollment-plan.js'
import { RegistryError } from './errors.js'
import type { Journal, Recording } from './journal.js'
import type { Invitation, RegistryState } from './state.js'

/** What lets a person in, once: the holder of its secret gets a certificate of this name. */
export interface NewInvitation extends Omit<Invitation, 'by'> {
  /** When it is made, in milliseconds since 1970. */
  readonly at: number
}

/** What an operator's certificate was issued for. */
export type OperatorIssue = Omit<Extract<RegistryEvent, { readonly event: 'operator.issue' }>, 'event'>

/** Nobody needs more; a script that renews and never keeps what it gets would grow the registry. */
const limits = { certificatesOfOperator: 16, invitations: 1024, invitationsByOne: 64 } as const

/** Knows the people who may work here: their certificates, and who is invited. */
export class Operators {
  readonly #state: RegistryState
  readonly #journal: Pick<Journal, 'change' | 'actFirst'>
  readonly #now: () => number

  constructor(state: RegistryState, journal: Pick<Journal, 'change' | 'actFirst'>, now: () => number) {
    this.#state = state
    this.#journal = journal
    this.#now = now
  }

  /** A certificate that opens something now. */
  certificate(fingerprint: Fingerprint): CertificateOfOperator | undefined {
    const certificate = this.#state.operators.get(fingerprint)
    return certificate !== undefined && certificate.notAfter > this.#now() ? certificate : undefined
  }

  /** All that open something now. */
  certificates(): readonly CertificateOfOperator[] {
    return this.#state.operators.values().filter(({ notAfter }) => notAfter > this.#now())
  }

  invitations(): readonly Invitation[] {
    return this.#state.invitations.values().filter(({ notAfter }) => notAfter > this.#now())
  }

  /** @throws RegistryError INVITATION_INVALID, INVITATION_LIMIT */
  async invite(invitation: NewInvitation, by: OperatorFacts): Promise<void> {
    const { id, ...terms } = invitation
    if (this.#state.invitations.has(id)) throw new RegistryError('INVITATION_INVALID', 'its id is taken')
    this.#requireRoomForInvitation(by.operator)
    return this.#journal.change({ event: 'operator.invite', invitation: id, ...terms, ...by })
  }

  /** @throws RegistryError INVITATION_UNKNOWN, also where it was used; INVITATION_MISMATCH, INVITATION_EXPIRED */
  requireInvitation({ id, secretHash }: TokenCredential): Invitation {
    const invitation = this.#requireOpen(id)
    if (timingSafeEqual(decodeHex(invitation.secretHash), decodeHex(secretHash))) return invitation
    throw new RegistryError('INVITATION_MISMATCH', `wrong secret for invitation ${id}`)
  }

  /** Whether one more may be signed; `record` asks it again. @throws RegistryError OPERATOR_LIMIT */
  requireRoom(operator: OperatorName): void {
    const living = this.#livingOf(operator).length
    if (living < limits.certificatesOfOperator) return
    throw new RegistryError('OPERATOR_LIMIT', `${operator} has ${living} certificates that are good already`)
  }

  /**
   * Spends the invitation it was issued for. That it still stands, or the certificate that was shown does, is asked in one
   * step with the change: it may have been revoked while the new one was signed.
   * @throws RegistryError INVITATION_UNKNOWN, INVITATION_EXPIRED, UNKNOWN_CERTIFICATE, OPERATOR_LIMIT
   */
  async record(certificate: OperatorIssue): Promise<void> {
    const { operator, invitation, presentedSerial } = certificate
    if (invitation !== undefined) this.#requireOpen(invitation)
    if (presentedSerial !== undefined) this.#requireLiving(operator, presentedSerial)
    this.requireRoom(operator)
    return this.#journal.change({ event: 'operator.issue', ...certificate })
  }

  /** What {@link revoke} would end: all of an operator's certificates, and what invites him or was made by him. */
  endsWith(operator: OperatorName): { readonly certificates: number; readonly invitations: number } {
    const invitations = this.invitations().filter(isEndedWith(operator))
    return { certificates: this.#livingOf(operator).length, invitations: invitations.length }
  }

  /**
   * Ends one certificate, or all that {@link endsWith} counts: none of it opens anything from here on, whether or not it
   * can be recorded.
   */
  revoke(whom: OperatorName, revoked: Fingerprint | undefined, by: OperatorFacts): Recording {
    const event = { event: 'operator.revoke', whom, ...(revoked !== undefined && { revoked }), ...by } as const
    return this.#journal.actFirst([event])
  }

  /** Nobody keeps the others from inviting. */
  #requireRoomForInvitation(inviter: OperatorName): void {
    const open = this.invitations()
    if (open.length >= limits.invitations) {
      throw new RegistryError('INVITATION_LIMIT', `at most ${limits.invitations} invitations are open at a time`)
    }
    if (open.filter(({ by }) => by === inviter).length < limits.invitationsByOne) return
    const problem = `${inviter} has ${limits.invitationsByOne} invitations open: wait until one was used, or is over`
    throw new RegistryError('INVITATION_LIMIT', problem)
  }

  #livingOf(operator: OperatorName): readonly CertificateOfOperator[] {
    return this.certificates().filter((known) => known.operator === operator)
  }

  #requireLiving(operator: OperatorName, serial: CertificateSerial): void {
    if (this.#livingOf(operator).some((known) => known.serial === serial)) return
    throw new RegistryError('UNKNOWN_CERTIFICATE', `${operator} has no certificate ${serial} that is good`)
  }

  #requireOpen(id: TokenId): Invitation {
    const invitation = this.#state.invitations.get(id)
    if (invitation === undefined) throw new RegistryError('INVITATION_UNKNOWN', `invitation ${id} is not known`)
    if (invitation.notAfter > this.#now()) return invitation
    throw new RegistryError('INVITATION_EXPIRED', `invitation ${id} has expired`)
  }
}
