import { TpmError } from '../errors.js'
import type { Tpm } from '../tpm.js'
import { openDevice } from '../transport/device.js'
import { openSocket } from '../transport/socket.js'
import type { Transport, TransportOptions } from '../transport/transport.js'
import { DeviceTpm } from './device-tpm.js'
import { flushLeftovers } from './loaded.js'

/**
 * Opens the TPM that `spec` names: a character device by its path (`/dev/tpmrm0`, or `/dev/tpm0`, which nobody else can
 * open meanwhile), or a swtpm by the socket of its data channel (`swtpm:PATH`, `swtpm:HOST:PORT`).
 * @throws TpmError TPM_SPEC_INVALID or TPM_UNREACHABLE
 */
export async function openTpm(spec: string, options: TransportOptions = {}): Promise<Tpm> {
  const transport = await openTransport(spec, options)
  try {
    if (hasNoResourceManager(spec)) await flushLeftovers(transport)
  } catch (error) {
    await transport.close()
    throw error
  }
  return new DeviceTpm(transport)
}

async function openTransport(spec: string, options: TransportOptions): Promise<Transport> {
  if (spec.startsWith('/')) return openDevice(spec, options)
  const [, where] = /^swtpm:(.+)$/.exec(spec) ?? []
  if (where === undefined) {
    throw new TpmError('TPM_SPEC_INVALID', 'expected /dev/tpmrm0, swtpm:PATH or swtpm:HOST:PORT')
  }
  const [, host, port] = /^([^/:]+):(\d{1,5})$/.exec(where) ?? []
  if (host === undefined) return openSocket({ path: where }, options)
  if (Number(port) < 1 || Number(port) > 65535) throw new TpmError('TPM_SPEC_INVALID', `${port} is no port`)
  return openSocket({ host, port: Number(port) }, options)
}

/** Linux's raw devices keep what a program that died has left. A swtpm does too, but others may be using it. */
function hasNoResourceManager(spec: string): boolean {
  return /^\/dev\/tpm\d+$/.test(spec)
}
