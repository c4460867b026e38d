import type { FastifyRequest } from 'fastify'
import { type Act, CodedError, type Fingerprint, type OperatorFacts, type OperatorName } from '#protocol'
import { fingerprintOf } from '#x509'
import { ServerError } from '../errors.js'
import type { OperatorRefusals } from '../refusals.js'
import { type Peer, peerOf } from './app.js'

export interface OperatorGateOptions {
  /** Checks the path to our root and reads the name; throws a coded error when it is no operator's certificate of ours. */
  readonly identifyOperator: (der: Uint8Array) => OperatorName
  /** The operator whose certificate this is, if it is one that we know we issued. */
  readonly admitOperator: (fingerprint: Fingerprint) => OperatorName | undefined
  readonly refusals: OperatorRefusals
}

/** Decides who is an operator: by the client certificate of this very connection, at every request anew. */
export class OperatorGate {
  readonly #options: OperatorGateOptions
  readonly #admitted = new WeakMap<FastifyRequest, OperatorFacts>()

  constructor(options: OperatorGateOptions) {
    this.#options = options
  }

  /** Before anything of the request is read. @throws ServerError OPERATOR_UNKNOWN, OPERATOR_NOT_ADMITTED */
  admit(request: FastifyRequest): void {
    const peer = peerOf(request)
    const method = `${request.method} ${request.routeOptions.url ?? ''}`
    if (peer.der === undefined) {
      this.#options.refusals.add({ reason: 'no_certificate', method, peer: addressOf(peer) })
      throw new ServerError('OPERATOR_UNKNOWN', "this needs an operator's client certificate, and none came")
    }
    const fingerprint = fingerprintOf(peer.der)
    const refused = this.#refusal(peer.der, fingerprint)
    if (typeof refused === 'object') {
      this.#admitted.set(request, { operator: refused.operator, fingerprint, peer: peer.address })
      return
    }
    this.#options.refusals.add({ reason: refused, method, peer: addressOf(peer), fingerprint })
    // Why not stands in the audit log only; a stranger learns nothing about what would have been enough.
    throw new ServerError('OPERATOR_NOT_ADMITTED', 'this client certificate admits no operator')
  }

  /** Who was admitted, for the record of what is done, with the reason that was given. @throws ServerError when nobody was */
  of(request: FastifyRequest, { comment }: Act = {}): OperatorFacts {
    const operator = this.#admitted.get(request)
    if (operator === undefined) throw new ServerError('OPERATOR_UNKNOWN', "this needs an operator's client certificate")
    return { ...operator, ...(comment !== undefined && { comment }) }
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
}

/** Refusals are counted by address: a source port is new with every connection. */
function addressOf(peer: Peer): string {
  return peer.address.replace(/:\d+$/, '')
}
