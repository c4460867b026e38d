import { contextLoad, contextSave, flushContext, type LoadedObject } from '../commands/objects.js'
import { TpmError } from '../errors.js'
import { decodePublic } from '../structures/public-area.js'
import type { TpmKey } from '../tpm.js'
import type { Transport } from '../transport/transport.js'

/**
 * The keys that a `Tpm` has in use. A TPM without a resource manager has room for three objects, and keeps them when
 * its user dies; so keys wait outside as saved contexts, and are in the TPM only while a command needs them.
 */
export class SavedKeys {
  readonly #transport: Transport
  /** `TpmKey.handle` is the position in here. */
  readonly #saved: { readonly context: Uint8Array; readonly public: Uint8Array }[] = []

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Takes the object out of the TPM, whether saving it succeeds or not. One key has one place. */
  async keep(loaded: LoadedObject): Promise<TpmKey> {
    const context = await flushAfter(this.#transport, [loaded.handle], () =>
      contextSave(this.#transport, loaded.handle),
    )
    decodePublic(loaded.public)
    const known = this.#saved.findIndex((saved) => Buffer.compare(saved.public, loaded.public) === 0)
    const handle = known < 0 ? this.#saved.length : known
    this.#saved[handle] = { context, public: loaded.public }
    return { handle, public: loaded.public }
  }

  /** Has the keys in the TPM for as long as `use` takes; it gets their handles there. */
  withLoaded<Keys extends readonly TpmKey[], T>(
    keys: readonly [...Keys],
    use: (handles: { readonly [Index in keyof Keys]: number }) => Promise<T>,
  ): Promise<T> {
    const handles: number[] = []
    return flushAfter(this.#transport, handles, async () => {
      for (const key of keys) handles.push(await contextLoad(this.#transport, this.#contextOf(key)))
      return use(handles as { readonly [Index in keyof Keys]: number })
    })
  }

  /** A handle alone could be another TPM's, and mean another key here. */
  #contextOf(key: TpmKey): Uint8Array {
    const saved = this.#saved[key.handle]
    if (saved === undefined || Buffer.compare(saved.public, key.public) !== 0) {
      throw new TpmError('TPM_COMMAND_FAILED', 'the key is not loaded in this TPM')
    }
    return saved.context
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
