import { TpmError } from '../errors.js'
import { Turns } from './turns.js'

/** A way to one TPM. Calls may overlap; the commands do not: each waits for the answer to the one before. */
export interface Transport {
  /** @throws TpmError TPM_UNREACHABLE, TPM_TIMEOUT, TPM_BUSY or TPM_RESPONSE_INVALID; never hangs */
  send(command: Uint8Array): Promise<Uint8Array>
  close(): Promise<void>
}

export interface TransportOptions {
  /** How long one command may take. Default 90 s: a hardware TPM may look for an RSA key's primes for that long. */
  readonly timeoutMs?: number
}

/** What a TPM may answer at most; also the buffer of Linux's driver. */
export const maxResponseBytes = 4096
/** Tag, size and response code (Part 1 §18.2). */
export const responseHeaderBytes = 10

const defaultTimeoutMs = 90_000

/**
 * Makes a transport of what carries one command. After a time-out the TPM's late answer would be taken for that to the
 * next command, so nothing more is sent; and nobody waits for `release`, which a device that hangs may hold up.
 */
export function oneAtATime(
  exchange: (command: Uint8Array) => Promise<Uint8Array>,
  release: () => Promise<void>,
  { timeoutMs = defaultTimeoutMs }: TransportOptions,
): Transport {
  const turns = new Turns()
  let released: Promise<void> | undefined
  const abandon = (): void => {
    released = Promise.resolve()
    release().catch(() => undefined)
  }
  const sendNow = async (command: Uint8Array): Promise<Uint8Array> => {
    if (released) throw new TpmError('TPM_UNREACHABLE', 'the TPM was closed')
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        abandon()
        reject(new TpmError('TPM_TIMEOUT', `the TPM did not answer within ${timeoutMs} ms`))
      }, timeoutMs)
    })
    return Promise.race([exchange(command), late]).finally(() => clearTimeout(timer))
  }
  return {
    send: (command) => turns.take(() => sendNow(command)),
    async close() {
      await turns.idle()
      await (released ??= release())
    },
  }
}
