import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { ServerError } from './errors.js'
import { readIfThere, writeDurably } from './files.js'

/** The Ed25519 key in a file, made when there is none. @throws ServerError FOLDER_UNUSABLE */
export async function openSigningKey(path: string): Promise<KeyObject> {
  const stored = await readIfThere(path)
  if (stored !== undefined) return parseSigningKey(path, stored)
  const { privateKey } = generateKeyPairSync('ed25519')
  await writeDurably(path, privateKey.export({ format: 'pem', type: 'pkcs8' }))
  return privateKey
}

/** @throws ServerError FOLDER_UNUSABLE */
export function parseSigningKey(path: string, pem: Buffer): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw new ServerError('FOLDER_UNUSABLE', `${path}: cannot be read as a private key`, { cause })
  }
  throw new ServerError('FOLDER_UNUSABLE', `${path}: expected an Ed25519 key`)
}
