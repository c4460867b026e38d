import { TpmError } from '../errors.js'
import { decodeAttest } from '../structures/attest.js'
import { pcrDigest } from '../structures/pcrs.js'
import { decodeSignature } from '../structures/signature.js'
import type { Quote, SignedAttestation } from '../tpm.js'

export interface Quoting {
  quote(): Promise<SignedAttestation>
  /** Some at least of the registers that are asked for. */
  read(pcrs: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>>
  readonly pcrs: readonly number[]
}

const maxAttempts = 4

/** A quote with the values it is about: where the machine measured something in between, both are taken anew. */
export async function readQuotedPcrs(quoting: Quoting): Promise<Quote> {
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const pcrs = await readAll(quoting)
    const quoted = await quoting.quote()
    if (isAbout(quoted, pcrs)) return { ...quoted, pcrs }
  }
  throw new TpmError('TPM_RESPONSE_INVALID', 'the values of the PCRs are never those that are quoted')
}

/** A TPM gives at most eight values at once (TPML_DIGEST, Part 2 §10.9). */
async function readAll({ read, pcrs }: Quoting): Promise<ReadonlyMap<number, Uint8Array>> {
  const values = new Map<number, Uint8Array>()
  for (let left = [...pcrs]; left.length > 0; left = left.filter((pcr) => !values.has(pcr))) {
    const wanted = [...(await read(left))].filter(([pcr]) => left.includes(pcr))
    if (wanted.length === 0) {
      throw new TpmError('TPM_COMMAND_FAILED', `the TPM has no SHA-256 bank with PCR ${left.join()}`)
    }
    for (const [pcr, value] of wanted) values.set(pcr, value)
  }
  return values
}

function isAbout({ attest, signature }: SignedAttestation, pcrs: ReadonlyMap<number, Uint8Array>): boolean {
  const decoded = decodeAttest(attest)
  if (decoded.type !== 'quote') return false
  // The digest is made with the hash of the signer's scheme (Part 3 §18.4).
  return Buffer.compare(decoded.pcrDigest, pcrDigest(pcrs, decodeSignature(signature).hash)) === 0
}
