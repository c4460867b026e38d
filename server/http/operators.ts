import type { FastifyRequest } from 'fastify'
import type { OperatorRights, Reach } from '#policy'
import {
  type Act,
  type ActName,
  CodedError,
  type DeviceId,
  type Fingerprint,
  type Labels,
  type OperatorFacts,
  type OperatorName,
} from '#protocol'
import { fingerprintOf } from '#x509'
import { ServerError } from '../errors.js'
import type { OperatorRefusal, OperatorRefusals } from '../refusals.js'
import { type Peer, peerOf } from './app.js'
import { Mandate } from './mandate.js'
import { requireOwnHost } from './own-host.js'

export interface OperatorGateOptions {
  /** Checks the path to our root and reads the name; throws a coded error when it is no operator's certificate of ours. */
  readonly identifyOperator: (der: Uint8Array) => OperatorName
  /** The operator whose certificate this is, if it is one that we know we issued. */
  readonly admitOperator: (fingerprint: Fingerprint) => OperatorName | undefined
  /** What the policy in force lets an operator do. */
  readonly rightsOf: (operator: OperatorName) => OperatorRights
  /** Undefined for a device that is not known. */
  readonly labelsOf: (device: DeviceId) => Labels | undefined
  /** The names and addresses under which the server is reached. */
  readonly hosts: readonly string[]
  readonly refusals: OperatorRefusals
}

interface Admitted {
  readonly operator: OperatorName
  readonly fingerprint: Fingerprint
  readonly peer: string
  /** Absent where the route is about nobody else. */
  readonly act?: ActName
}

/**
 * Decides who is an operator, by the client certificate of this very connection, and whether that one may do what is
 * asked, by the policy in force; at every request anew.
 */
export class OperatorGate {
  readonly #options: OperatorGateOptions
  readonly #admitted = new WeakMap<FastifyRequest, Admitted>()

  constructor(options: OperatorGateOptions) {
    this.#options = options
  }

  /** Before anything of the request is read. @throws ServerError HOST_FOREIGN, ORIGIN_FOREIGN, OPERATOR_…, ACT_NOT_ALLOWED */
  admit(request: FastifyRequest): void {
    this.#requireOwnHost(request)
    const operator = this.#identify(request)
    this.#admitted.set(request, { ...operator, ...this.#authorize(request, operator) })
  }

  /** Who was admitted, for the record of what is done, with the reason that was given. @throws ServerError when nobody was */
  of(request: FastifyRequest, { comment }: Act = {}): OperatorFacts {
    const { operator, fingerprint, peer } = this.#require(request)
    return { operator, fingerprint, peer, ...(comment !== undefined && { comment }) }
  }

  /** What the policy in force lets an operator do. */
  rightsOf(operator: OperatorName): OperatorRights {
    return this.#options.rightsOf(operator)
  }

  /** Records that somebody who is no operator was turned away. */
  noteStranger(request: FastifyRequest, reason: string): void {
    this.#note(request, { reason })
  }

  /** Records that an operator was refused what everybody may who is one. */
  noteRefused(request: FastifyRequest, reason: string): void {
    const { operator, fingerprint } = this.#require(request)
    this.#note(request, { reason, fingerprint, operator })
  }

  /** On what the operator may do an act, by default that of this route. @throws ServerError when nobody was admitted */
  mandateOf(request: FastifyRequest, act = this.#require(request).act): Mandate {
    const admitted = this.#require(request)
    const { operator } = admitted
    if (act === undefined) throw new ServerError('INTERNAL', 'this route names no act that has a mandate')
    const { rightsOf, labelsOf } = this.#options
    const refuse = (what: string, device?: DeviceId) => this.#refuseAct(request, admitted, act, what, device)
    return new Mandate({ reach: () => rightsOf(operator).over(act), labelsOf, refuse })
  }

  /** On what the operator may do another act than that of this route: an answer tells of nothing else. */
  reachOf(request: FastifyRequest, act: ActName): Reach {
    return this.#options.rightsOf(this.#require(request).operator).over(act)
  }

  /**
   * For requests and answers that take long: all that let this request in has to hold still.
   * @throws ServerError OPERATOR_NOT_ADMITTED, ACT_NOT_ALLOWED
   */
  requireStill(request: FastifyRequest): void {
    const admitted = this.#require(request)
    const { operator, fingerprint } = admitted
    if (this.#options.admitOperator(fingerprint) !== operator) {
      this.#note(request, { reason: 'unknown_certificate', fingerprint, operator })
      throw new ServerError('OPERATOR_NOT_ADMITTED', `${operator} is not admitted any more`)
    }
    this.#authorize(request, admitted)
  }

  #requireOwnHost(request: FastifyRequest): void {
    try {
      requireOwnHost(request, this.#options.hosts)
    } catch (error) {
      if (error instanceof CodedError) this.#note(request, { reason: error.code.toLowerCase() })
      throw error
    }
  }

  #require(request: FastifyRequest): Admitted {
    const admitted = this.#admitted.get(request)
    if (admitted === undefined) throw new ServerError('OPERATOR_UNKNOWN', "this needs an operator's client certificate")
    return admitted
  }

  #identify(request: FastifyRequest): Admitted {
    const peer = peerOf(request)
    if (peer.der === undefined) {
      this.#note(request, { reason: 'no_certificate' })
      throw new ServerError('OPERATOR_UNKNOWN', "this needs an operator's client certificate, and none came")
    }
    const fingerprint = fingerprintOf(peer.der)
    const refused = this.#refusal(peer.der, fingerprint)
    if (typeof refused === 'object') return { operator: refused.operator, fingerprint, peer: peer.address }
    this.#note(request, { reason: refused, fingerprint })
    // Why not stands in the audit log only; a stranger learns nothing about what would have been enough.
    throw new ServerError('OPERATOR_NOT_ADMITTED', 'this client certificate admits no operator')
  }

  #refusal(leaf: Uint8Array, fingerprint: Fingerprint): { readonly operator: OperatorName } | string {
    const { identifyOperator, admitOperator } = this.#options
    try {
      const operator = identifyOperator(leaf)
      // A signature of our CA is necessary and not sufficient.
      return admitOperator(fingerprint) === operator ? { operator } : 'unknown_certificate'
    } catch (error) {
      if (error instanceof CodedError) return error.code.toLowerCase()
      throw error
    }
  }

  /** A route that names no act is open to no operator. */
  #authorize(request: FastifyRequest, admitted: Admitted): Pick<Admitted, 'act'> {
    const { route } = request.routeOptions.config
    if (route === undefined || !('act' in route)) throw new ServerError('INTERNAL', 'this route names no act')
    if (route.act === 'own') return {}
    const { act, scoped = false } = route
    const reach = this.#options.rightsOf(admitted.operator).over(act)
    if (!reach.isSomething) throw this.#refuseAct(request, admitted, act)
    if (!scoped && !reach.isEverything) throw this.#refuseAct(request, admitted, act, 'on everything')
    return { act }
  }

  /** An operator who is known may know what it takes. */
  #refuseAct(request: FastifyRequest, admitted: Admitted, act: ActName, what = '', device?: DeviceId): ServerError {
    const { operator, fingerprint } = admitted
    const about = device === undefined ? {} : { device }
    this.#note(request, { reason: 'act_not_allowed', fingerprint, operator, act, ...about })
    const problem = `the policy does not let ${operator} do ${act}${what && ` ${what}`}`
    return new ServerError('ACT_NOT_ALLOWED', problem)
  }

  #note(request: FastifyRequest, refusal: Omit<OperatorRefusal, 'method' | 'peer'>): void {
    const method = `${request.method} ${request.routeOptions.url ?? ''}`
    this.#options.refusals.add({ ...refusal, method, peer: addressOf(peerOf(request)) })
  }
}

/** Refusals are counted by address: a source port is new with every connection. */
function addressOf(peer: Peer): string {
  return peer.address.replace(/:\d+$/, '')
}
