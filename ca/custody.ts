import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { decodePem, encodePem, spkiHash, spkiOf } from '#x509'
import { openFolder, readIfPresent, writeDurably } from './durable-file.js'
import { CaError } from './errors.js'

/** A CA that can sign. */
export interface KeyHolder {
  readonly privateKey: KeyObject
  /** DER. */
  readonly certificate: Uint8Array
}

/** The issuing CA, and the certificates of those before it, of which there may be leaves. */
export interface Issuing extends KeyHolder {
  /** DER, newest first. */
  readonly former: readonly Uint8Array[]
}

const files = { rootKey: 'root.key.pem', root: 'root.pem', issuing: 'issuing.pem' } as const

/**
 * Keeps the keys: files of mode 0600 in one folder, PKCS#8 as PEM. The root's key stands alone, so that it can be moved
 * away; the issuing key and its certificate share one file, so that one rename replaces both.
 */
export class Custody {
  readonly #folder: string

  /** @throws CaError CA_STORAGE_FAILED */
  static async open(folder: string): Promise<Custody> {
    await openFolder(folder)
    return new Custody(folder)
  }

  private constructor(folder: string) {
    this.#folder = folder
  }

  async rootKey(): Promise<KeyObject | undefined> {
    const text = await this.#read('rootKey')
    return text === undefined ? undefined : readKey(text, files.rootKey)
  }

  async root(): Promise<Uint8Array | undefined> {
    const text = await this.#read('root')
    return text === undefined ? undefined : readCertificates(text, files.root)[0]
  }

  async issuing(): Promise<Issuing | undefined> {
    const text = await this.#read('issuing')
    if (text === undefined) return undefined
    const privateKey = readKey(text, files.issuing)
    const [certificate, ...former] = readCertificates(text, files.issuing)
    if (!holdsKeyOf(privateKey, certificate)) throw mismatch(`${files.issuing}: key and certificate`)
    return { privateKey, certificate, former }
  }

  async keepRootKey(privateKey: KeyObject): Promise<void> {
    await this.#write('rootKey', exportKey(privateKey))
  }

  async keepRoot(certificate: Uint8Array): Promise<void> {
    await this.#write('root', encodePem('CERTIFICATE', certificate))
  }

  async keepIssuing({ privateKey, certificate, former }: Issuing): Promise<void> {
    const blocks = [certificate, ...former].map((der) => encodePem('CERTIFICATE', der))
    await this.#write('issuing', exportKey(privateKey) + blocks.join(''))
  }

  #read(file: keyof typeof files): Promise<string | undefined> {
    return readIfPresent(join(this.#folder, files[file]))
  }

  #write(file: keyof typeof files, text: string): Promise<void> {
    return writeDurably(join(this.#folder, files[file]), text)
  }
}

export function exportKey(privateKey: KeyObject): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
}

export function holdsKeyOf(privateKey: KeyObject, certificate: Uint8Array): boolean {
  const certified = new X509Certificate(certificate).publicKey
  return spkiHash(spkiOf(createPublicKey(privateKey))) === spkiHash(spkiOf(certified))
}

export function mismatch(what: string): CaError {
  return new CaError('CA_MISMATCH', `${what} do not belong together`)
}

function readKey(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (cause) {
    throw new CaError('CA_UNREADABLE', `${file} holds no private key that can be read`, { cause })
  }
}

/** In the order of the file. */
function readCertificates(text: string, file: string): readonly [Uint8Array, ...Uint8Array[]] {
  const [first, ...others] = decodeCertificates(text, file)
  if (first === undefined) throw new CaError('CA_UNREADABLE', `${file} holds no certificate`)
  return [first, ...others]
}

function decodeCertificates(text: string, file: string): readonly Uint8Array[] {
  try {
    return decodePem(text, 'CERTIFICATE').map((der) => Uint8Array.from(new X509Certificate(der).raw))
  } catch (cause) {
    throw new CaError('CA_UNREADABLE', `${file} holds a certificate that cannot be read`, { cause })
  }
}
