import { contextLoad, contextSave, flushContext, type LoadedObject } from '../commands/objects.js'
import { TpmError } from '../errors.js'
import { encodePublic } from '../structures/public-area.js'
import type { TpmKey } from '../tpm.js'
import type { Transport } from '../transport/transport.js'

/** A key outside of the TPM. */
interface SavedKey extends Omit<LoadedObject, 'handle'> {
  readonly context: Uint8Array
  readonly public: Uint8Array
}

/**
 * The keys that a `Tpm` has in use. A TPM without a resource manager has room for three objects, and keeps them when
 * its user dies; so keys wait outside as saved contexts, and are in the TPM only while a command needs them.
 */
export class SavedKeys {
  readonly #transport: Transport
  /** `TpmKey.handle` is the position in here. */
  readonly #saved: SavedKey[] = []

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Takes the object out of the TPM, whether saving it succeeds or not. One key has one place. */
  async keep({ handle: loaded, area, name }: LoadedObject): Promise<TpmKey> {
    const context = await flushAfter(this.#transport, [loaded], () => contextSave(this.#transport, loaded))
    const known = this.#saved.findIndex((saved) => Buffer.compare(saved.name, name) === 0)
    const handle = known < 0 ? this.#saved.length : known
    const key = { context, area, name, public: encodePublic(area) }
    this.#saved[handle] = key
    return { handle, public: key.public }
  }

  /** Has the keys in the TPM for as long as `use` takes, in the order in which they are given. */
  withLoaded<Keys extends readonly TpmKey[], T>(
    keys: readonly [...Keys],
    use: (loaded: { readonly [Index in keyof Keys]: LoadedObject }) => Promise<T>,
  ): Promise<T> {
    const handles: number[] = []
    return flushAfter(this.#transport, handles, async () => {
      const loaded: LoadedObject[] = []
      for (const key of keys) {
        const { context, area, name } = this.#find(key)
        const handle = await contextLoad(this.#transport, context)
        handles.push(handle)
        loaded.push({ handle, area, name })
      }
      return use(loaded as { readonly [Index in keyof Keys]: LoadedObject })
    })
  }

  /** A handle alone could be another TPM's, and mean another key here. */
  #find(key: TpmKey): SavedKey {
    const saved = this.#saved[key.handle]
    if (saved === undefined || Buffer.compare(saved.public, key.public) !== 0) {
      throw new TpmError('TPM_COMMAND_FAILED', 'the key is not loaded in this TPM')
    }
    return saved
  }
}

/** When `use` fails, its error is what the caller must hear of, not that flushing after it failed too. */
export async function flushAfter<T>(
  transport: Transport,
  handles: readonly number[],
  use: () => Promise<T>,
): Promise<T> {
  let result: T
  try {
    result = await use()
  } catch (error) {
    for (const handle of handles) await flushContext(transport, handle).catch(() => undefined)
    throw error
  }
  for (const handle of handles) await flushContext(transport, handle)
  return result
}
