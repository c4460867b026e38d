import type { AttestationResult } from '#protocol'
import { RegistryError } from './errors.js'
import { addressOf, rangeOf } from './locks/address-range.js'
import type { Token, TokenBinding } from './state.js'

const mostAddresses = 16

/** What is wrong with one that is asked for, if anything is. */
export function problemOfBinding({ addresses }: TokenBinding): string | undefined {
  if (addresses === undefined) return undefined
  if (addresses.length < 1 || addresses.length > mostAddresses) return `it names from 1 to ${mostAddresses} addresses`
  const wrong = addresses.find((range) => rangeOf(range) === undefined)
  return wrong && `${JSON.stringify(wrong.slice(0, 64))} is no address and no network`
}

/** What shows no address comes from nowhere. @throws RegistryError TOKEN_BOUND */
export function requireBound(
  { id, ekHash, addresses }: Token,
  { anchor }: Pick<AttestationResult, 'anchor'>,
  peer: string | undefined,
): void {
  if (ekHash !== undefined && (anchor.kind !== 'ek' || anchor.hash !== ekHash)) {
    throw new RegistryError('TOKEN_BOUND', `token ${id} is for the TPM with the endorsement key ${ekHash}`)
  }
  const address = peer === undefined ? '' : addressOf(peer)
  if (addresses !== undefined && !addresses.some((range) => rangeOf(range)?.(address) === true)) {
    throw new RegistryError('TOKEN_BOUND', `token ${id} is for machines at ${addresses.join(', ')}`)
  }
}

/** As much of it as there is. */
export function bindingOf({ ekHash, addresses }: TokenBinding): TokenBinding {
  return { ...(ekHash !== undefined && { ekHash }), ...(addresses !== undefined && { addresses }) }
}
