import { TpmError } from '../errors.js'
import type { Tpm } from '../tpm.js'
import { openDevice, openSocket, type Transport, type TransportOptions } from '../transport/transport.js'
import { DeviceTpm } from './device-tpm.js'

/**
 * Opens the TPM that `spec` names: a character device by its path (`/dev/tpmrm0`), or a swtpm by the socket of its data
 * channel (`swtpm:PATH`, `swtpm:HOST:PORT`).
 * @throws TpmError TPM_SPEC_INVALID or TPM_UNREACHABLE
 */
export async function openTpm(spec: string, options: TransportOptions = {}): Promise<Tpm> {
  return new DeviceTpm(await openTransport(spec, options))
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
