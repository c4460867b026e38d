import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeJson, object, text } from '#protocol'
import type { Store } from '#store'
import { AuditError } from '../errors.js'
import { witnessKeyOf } from './cosignature.js'
import { Witness, type WitnessOptions } from './witness.js'

export type OpenWitnessOptions = Pick<WitnessOptions, 'logs' | 'now' | 'onRefusal'> & {
  /** Holds key and state; one process at a time. */
  readonly folder: string
  /** One that is there keeps the name that its cosignatures have, and must not be asked to have another. */
} & ({ readonly name: string } | { readonly defaultName: string })

export interface OpenWitness {
  readonly witness: Witness
  readonly name: string
  close(): Promise<void>
}

/**
 * Opens a witness, or makes one with a new key.
 * @throws AuditError AUDIT_INVALID when it has another name; StoreError STORE_LOCKED, STORE_DAMAGED, STORE_FAILED, STORE_FULL
 */
export async function openWitness(options: OpenWitnessOptions): Promise<OpenWitness> {
  const { folder } = options
  const { openLevelStore } = await import('#store') // only a witness needs it, and every command loads this room
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const store = await openLevelStore(join(folder, 'state'))
  try {
    const identity = await readIdentity(store, 'name' in options ? options.name : options.defaultName)
    if ('name' in options && options.name !== identity.name) {
      const problem = `the witness in ${folder} is ${identity.name}, and stays it; ${options.name} needs a folder of its own`
      throw new AuditError('AUDIT_INVALID', problem)
    }
    const witness = new Witness({ ...options, ...identity, store })
    return { witness, name: identity.name, close: () => store.close() }
  } catch (error) {
    await store.close()
    throw error
  }
}

const identityKey = 'witness-identity'
const decodeIdentity = object({ name: text(1024), key: text(1024) })

/** Durable before it is used: a cosignature by a key that is lost could not be followed up. */
async function readIdentity(store: Store, newName: string): Promise<Pick<WitnessOptions, 'name' | 'signingKey'>> {
  const stored = await store.get(identityKey)
  if (stored) {
    const { name, key } = decodeJson(new TextDecoder().decode(stored), decodeIdentity, identityKey)
    return { name, signingKey: createPrivateKey(key) }
  }
  const { privateKey: signingKey } = generateKeyPairSync('ed25519')
  witnessKeyOf(newName, signingKey) // a name that is none must not stay
  const key = signingKey.export({ format: 'pem', type: 'pkcs8' })
  const identity = new TextEncoder().encode(JSON.stringify({ name: newName, key }))
  await store.commit({ puts: [[identityKey, identity]], conditions: [[identityKey, undefined]] })
  return { name: newName, signingKey }
}
