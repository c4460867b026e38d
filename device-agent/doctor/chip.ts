import { decodePublic, type Tpm, toSpki } from '#tpm'
import { spkiHash } from '#x509'
import { loadAddon } from '../tpm-key-addon.js'
import { type Check, checking, fail, ok, warn } from './check.js'

/** The TPM as a device's identity needs it: reachable, and with an EK that its maker vouches for. */
export async function checkTpm(spec: string, open: (spec: string) => Promise<Tpm>): Promise<readonly Check[]> {
  let tpm: Tpm | undefined
  const chip = await checking('tpm', async () => {
    tpm = await open(spec)
    const { manufacturer, model, firmware, inLockout } = await tpm.chip()
    const is = `${manufacturer} ${model}, firmware ${firmware}, at ${spec}`
    return inLockout ? warn(`${is}; in lockout: wait for its recovery, or have its owner end it`) : ok(is)
  })
  if (tpm === undefined) return [chip]
  try {
    const opened = tpm
    return [chip, await checking('endorsement key', () => lookAtEndorsement(opened))]
  } finally {
    await tpm.close()
  }
}

async function lookAtEndorsement(tpm: Tpm): Promise<Omit<Check, 'name'>> {
  const [best, ...others] = await tpm.endorsementKeyTemplates()
  if (best === undefined) {
    return warn('the TPM holds no certificate of its maker; an operator must register it, and it stays tpm-unvouched')
  }
  const { public: area, certificates } = await tpm.endorsementKey(best)
  const hash = spkiHash(toSpki(decodePublic(area)))
  const beside = others.length === 0 ? '' : `, also ${others.join(', ')}`
  return ok(`${best} ${hash}, ${certificates.length} certificate${certificates.length === 1 ? '' : 's'}${beside}`)
}

/** Where no key is in a TPM its absence costs nothing. */
export function checkAddon(use: 'needed' | 'not needed'): Check {
  try {
    return { name: 'addon', ...ok(`loads from ${loadAddon().path}`) }
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error)
    return { name: 'addon', ...(use === 'needed' ? fail(says) : warn(says)) }
  }
}
