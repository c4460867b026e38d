import { sign } from 'node:crypto'
import { createKeyPair, type Extension, type NameAttribute, oids, spkiOf } from '#x509'
import { contextTag } from '../../x509/der-reader.js'
import { bitString, der, oid, sequence, setOf, unsignedInteger, utf8String } from '../../x509/der-writer.js'
import { encodeExtension } from '../../x509/extensions.js'
import { encodeName } from '../../x509/names.js'

/** What a request of somebody else's making says. */
export interface Said {
  readonly subject?: readonly NameAttribute[]
  /** That the certificate should have. */
  readonly extensions?: readonly Extension[]
  readonly challengePassword?: string
  /** Written as they are, behind those. */
  readonly attributes?: readonly Uint8Array[]
}

/** A request that says more than its key, as other people's clients make them. */
export function csrWith(
  { subject = [], extensions, challengePassword, attributes = [] }: Said,
  pair = createKeyPair('P-256'),
): Uint8Array {
  const said = [
    ...(extensions ? [attribute(oids.extensionRequest, sequence(...extensions.map(encodeExtension)))] : []),
    ...(challengePassword === undefined ? [] : [attribute(oids.challengePassword, utf8String(challengePassword))]),
    ...attributes,
  ]
  const version = unsignedInteger(Uint8Array.of(0))
  const info = sequence(
    version,
    encodeName(subject),
    spkiOf(pair.publicKey),
    der(contextTag(0, 'constructed'), ...said),
  )
  const algorithm = sequence(oid(oids.ecdsaWithSha256))
  return new Uint8Array(sequence(info, algorithm, bitString(sign('sha256', info, pair.privateKey))))
}

export function attribute(type: string, ...values: readonly Uint8Array[]): Uint8Array {
  return sequence(oid(type), setOf(...values))
}
