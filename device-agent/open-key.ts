import type { Tpm } from '#tpm'
import type { DeviceKey } from './device-key.js'
import { AgentError } from './errors.js'
import type { KeyFile } from './key-file.js'
import { SoftwareKey } from './software-key.js'

/** Opens the TPM that a text names: `/dev/tpmrm0`, `swtpm:PATH`, `swtpm:HOST:PORT`. */
export type OpenTpm = (spec: string) => Promise<Tpm>

/** The key of a generation, ready to sign and to connect. */
export async function openKey(key: KeyFile, openTpm: OpenTpm): Promise<DeviceKey> {
  if (key.kind === 'software') return SoftwareKey.fromPem(key.pem)
  const tpm = await openTpm(key.tpm)
  await tpm.close()
  throw new AgentError('KEY_UNAVAILABLE', 'a key in a TPM')
}
