import { readHandles } from '../commands/capabilities.js'
import { flushContext, readPublic } from '../commands/objects.js'
import { TpmError } from '../errors.js'
import { decodePublic, encodePublic, templateOf } from '../structures/public-area.js'
import { attestationKey, ekTemplates, signingKey, storageRootKey } from '../templates.js'
import type { Transport } from '../transport/transport.js'

/*
 * What is loaded in a TPM: it has room for three objects and as many sessions, and keeps them when their user dies.
 */

/** TPM_HT_TRANSIENT, and TPM_HT_LOADED_SESSION for sessions of either kind (Part 2 §7.2). */
const firstHandles = { objects: 0x80000000, sessions: 0x02000000 } as const
/** More than any TPM has room for. */
const maxHandles = 64

/** Runs operations so that none leaves anything loaded, however it ends. One at a time: what appears meanwhile is its own. */
export class TidyTpm {
  readonly #transport: Transport
  #foreign: ReadonlySet<number> | undefined

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * An operation that ends well has flushed what it loaded. After one that failed nobody can say what the TPM did: an
   * answer may have been lost behind a command that worked. So the TPM is asked.
   */
  async leavingNothing<T>(operation: () => Promise<T>): Promise<T> {
    const foreign = (this.#foreign ??= await loadedHandles(this.#transport))
    try {
      return await operation()
    } catch (error) {
      await this.#flushAllBut(foreign).catch(() => undefined) // its own error is what the caller must hear of
      throw error
    }
  }

  async #flushAllBut(foreign: ReadonlySet<number>): Promise<void> {
    for (const handle of await loadedHandles(this.#transport)) {
      if (!foreign.has(handle)) await flushContext(this.#transport, handle).catch(() => undefined)
    }
  }
}

/**
 * Flushes what an agent that died has left in a TPM without a resource manager: keys like those that agents use, and
 * all sessions that are loaded. Sessions do not tell whose they are, but the device can be open only once, and the
 * kernel and others who come back save theirs before they close it.
 */
export async function flushLeftovers(transport: Transport): Promise<void> {
  for (const object of await readHandles(transport, firstHandles.objects, maxHandles)) {
    if (isOfOurKind(await readPublic(transport, object))) await flushContext(transport, object)
  }
  for (const session of await readHandles(transport, firstHandles.sessions, maxHandles)) {
    await flushContext(transport, session)
  }
}

async function loadedHandles(transport: Transport): Promise<ReadonlySet<number>> {
  const objects = await readHandles(transport, firstHandles.objects, maxHandles)
  const sessions = await readHandles(transport, firstHandles.sessions, maxHandles)
  return new Set([...objects, ...sessions])
}

const ourKinds: readonly Uint8Array[] = [
  storageRootKey,
  attestationKey,
  signingKey,
  ...ekTemplates.map((template) => template.public),
].map((template) => encodePublic(templateOf(template)))

function isOfOurKind(publicArea: Uint8Array): boolean {
  try {
    const kind = encodePublic(templateOf(decodePublic(publicArea)))
    return ourKinds.some((ours) => Buffer.compare(ours, kind) === 0)
  } catch (error) {
    if (error instanceof TpmError) return false // of a kind that is never ours
    throw error
  }
}
