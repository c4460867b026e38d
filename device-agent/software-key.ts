import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import type { DeviceKey, TlsConnection, TlsTarget } from './device-key.js'
import { AgentError } from './errors.js'
import { openTls } from './tls.js'

const signAsync = promisify<string, Uint8Array, KeyObject, Buffer>(sign)

/** A P-256 key that lives in a file of the state folder. */
export class SoftwareKey implements DeviceKey {
  readonly kind = 'software'
  readonly spki: Uint8Array
  readonly #privateKey: KeyObject

  private constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey
    this.spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  }

  static create(): SoftwareKey {
    return new SoftwareKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  }

  /** @throws AgentError STATE_INVALID */
  static fromPem(pem: string): SoftwareKey {
    try {
      return new SoftwareKey(createPrivateKey(pem))
    } catch (cause) {
      throw new AgentError('STATE_INVALID', 'the private key file holds no PEM private key', { cause })
    }
  }

  /** PKCS #8; for the state folder and nowhere else. */
  toPem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }

  sign(data: Uint8Array): Promise<Uint8Array> {
    return signAsync('sha256', data, this.#privateKey)
  }

  connect(target: TlsTarget): Promise<TlsConnection> {
    return openTls(target, { key: this.toPem() })
  }

  async close(): Promise<void> {
    // nothing is held open
  }
}
