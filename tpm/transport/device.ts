import { open } from 'node:fs/promises'
import { TpmError } from '../errors.js'
import { maxResponseBytes, oneAtATime, type Transport, type TransportOptions } from './transport.js'

/** Why a device does not open, where the reason says what to do. */
const advice: Readonly<Record<string, string>> = {
  EACCES: 'its permissions do not let this user; on most systems the group tss may',
  EBUSY: 'another program has it; /dev/tpmrm0 can be shared',
  ENOENT: 'there is no such device; is a TPM enabled in the firmware?',
}

/**
 * Linux's character devices, /dev/tpmrm0 with a resource manager and /dev/tpm0 without: one write is one command, one
 * read its response, both in a thread of the pool.
 */
export async function openDevice(path: string, options: TransportOptions = {}): Promise<Transport> {
  const device = await open(path, 'r+').catch((cause: NodeJS.ErrnoException) => {
    const reason = advice[cause.code ?? ''] ?? cause.message
    throw new TpmError('TPM_UNREACHABLE', `cannot open ${path}: ${reason}`, { cause })
  })
  const exchange = async (command: Uint8Array): Promise<Uint8Array> => {
    try {
      await device.write(command, 0, command.length, null)
      const { buffer, bytesRead } = await device.read(Buffer.alloc(maxResponseBytes), 0, maxResponseBytes, null)
      return buffer.subarray(0, bytesRead)
    } catch (cause) {
      throw new TpmError('TPM_UNREACHABLE', `${path} failed`, { cause })
    }
  }
  return oneAtATime(exchange, () => device.close(), options)
}
