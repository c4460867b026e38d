import type { OperatorFacts, TokenId } from '#protocol'
import { checkNewToken, type NewToken } from './checks.js'
import { provenToken, type TokenCredential } from './enrollment-plan.js'
import { RegistryError } from './errors.js'
import type { Registrar } from './registrar.js'
import type { Token } from './state.js'

/** The tokens that let devices in. */
export class JoinTokens {
  readonly #registrar: Registrar

  constructor(registrar: Registrar) {
    this.#registrar = registrar
  }

  /** Spent or not. @throws RegistryError TOKEN_UNKNOWN, TOKEN_MISMATCH, TOKEN_REVOKED */
  require(credential: TokenCredential): Token {
    return provenToken(this.#registrar.state, credential)
  }

  /** @throws RegistryError TOKEN_INVALID, LABEL_INVALID, DEVICE_REVOKED */
  async create(token: NewToken, by: OperatorFacts): Promise<void> {
    const { state, now } = this.#registrar
    checkNewToken(state, token, now())
    return this.#registrar.enter({ event: 'token.create', ...token, ...by })
  }

  /** @throws RegistryError TOKEN_UNKNOWN */
  async revoke(token: TokenId, by: OperatorFacts): Promise<void> {
    const isKnown = this.#registrar.state.tokens.has(token)
    if (!isKnown) throw new RegistryError('TOKEN_UNKNOWN', `token ${token} is not known`)
    return this.#registrar.enter({ event: 'token.revoke', token, ...by })
  }
}
