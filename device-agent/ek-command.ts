import { decodePublic, type EkTemplateName, type Tpm, toSpki } from '#tpm'
import { spkiHash } from '#x509'
import { AgentError } from './errors.js'
import type { Surroundings } from './surroundings.js'

export interface EkOptions {
  readonly tpm: string
  readonly ek?: EkTemplateName
  readonly output: 'text' | 'json'
}

/** `touchmark-agent ek`: by what an operator can know this machine before it joins. */
export async function ekCommand({ tpm: spec, ek, output }: EkOptions, surroundings: Surroundings): Promise<void> {
  const tpm = await surroundings.openTpm(spec)
  try {
    const template = await chooseEk(tpm, ek)
    const { public: publicArea, certificates } = await tpm.endorsementKey(template)
    const ekHash = spkiHash(toSpki(decodePublic(publicArea)))
    if (output === 'json')
      return surroundings.out(JSON.stringify({ ekHash, template, certificates: certificates.length }))
    surroundings.out(ekHash)
    const vouched = certificates.length > 0 ? 'its maker vouches for it with a certificate' : 'it has no certificate'
    surroundings.err(`endorsement key ${template}; ${vouched}`)
    surroundings.err(`the operator makes it known with: touchmark devices register ID --ek-hash ${ekHash}`)
  } finally {
    await tpm.close()
  }
}

/** The one asked for, else the best that the maker vouches for, else one that every TPM can make. */
export async function chooseEk(tpm: Tpm, asked?: EkTemplateName): Promise<EkTemplateName> {
  const certified = await tpm.endorsementKeyTemplates()
  if (asked === undefined) return certified[0] ?? 'ecc-p256'
  if (certified.length > 0 && !certified.includes(asked)) {
    throw new AgentError('USAGE', `--ek: this TPM has certificates for ${certified.join(', ')}, not for ${asked}`)
  }
  return asked
}
