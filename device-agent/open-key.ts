import type { Tpm } from '#tpm'
import type { DeviceKey } from './device-key.js'
import type { KeyFile } from './key-file.js'
import { SoftwareKey } from './software-key.js'

/** Opens the TPM that a text names: `/dev/tpmrm0`, `swtpm:PATH`, `swtpm:HOST:PORT`. */
export type OpenTpm = (spec: string) => Promise<Tpm>

/** The key of a generation, ready to sign and to connect. */
export async function openKey(key: KeyFile, openTpm: OpenTpm): Promise<DeviceKey> {
  if (key.kind === 'software') return SoftwareKey.fromPem(key.pem)
  const { TpmKey } = await import('./tpm-key.js')
  const tpm = await openTpm(key.tpm)
  const held = await TpmKey.load(tpm, key.stored)
  return {
    kind: held.kind,
    spki: held.spki,
    sign: (data) => held.sign(data),
    connect: (target) => held.connect(target),
    close: async () => {
      await held.close()
      await tpm.close()
    },
  }
}
