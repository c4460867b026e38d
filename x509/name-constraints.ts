import type { Certificate } from './certificate.js'
import { contextTag, type DerValue, DerReader, malformed, readSequence } from './der-reader.js'
import { X509Error } from './errors.js'
import { generalNameTags, readAscii, readGeneralNames } from './names.js'
import { oids } from './oids.js'

/**
 * Holds a certificate's names against a name constraint above it (RFC 5280 §4.2.1.10). Constraints on URIs are judged;
 * a name of another kind that is constrained at all is refused, because we could not tell.
 * @throws X509Error NAME_NOT_PERMITTED, MALFORMED
 */
export function checkNameConstraints(constraints: Uint8Array, certificate: Certificate): void {
  const { permitted, excluded } = readConstraints(constraints)
  for (const name of namesOf(certificate)) {
    const isSameKind = (base: DerValue): boolean => base.tag === name.tag
    const allowed = permitted.filter(isSameKind)
    const forbidden = excluded.filter(isSameKind)
    if (allowed.length === 0 && forbidden.length === 0) continue
    const host = name.tag === generalNameTags.uri ? hostOf(readAscii(name.content)) : undefined
    const lies = (base: DerValue): boolean => host !== undefined && liesWithin(host, readAscii(base.content))
    if (host === undefined || (allowed.length > 0 && !allowed.some(lies)) || forbidden.some(lies)) {
      throw new X509Error('NAME_NOT_PERMITTED', 'a name that a CA above is not allowed to certify')
    }
  }
}

interface Constraints {
  readonly permitted: readonly DerValue[]
  readonly excluded: readonly DerValue[]
}

function readConstraints(value: Uint8Array): Constraints {
  const reader = readSequence(value)
  const permitted = readSubtrees(reader.optional(contextTag(0, 'constructed'))?.content)
  const excluded = readSubtrees(reader.optional(contextTag(1, 'constructed'))?.content)
  reader.end()
  return { permitted, excluded }
}

function readSubtrees(content: Uint8Array | undefined): readonly DerValue[] {
  const bases: DerValue[] = []
  const subtrees = new DerReader(content ?? new Uint8Array())
  while (!subtrees.atEnd) {
    const subtree = subtrees.sequence()
    bases.push(subtree.any())
    if (!subtree.atEnd) throw malformed('a name constraint with minimum or maximum') // not used by RFC 5280
  }
  return bases
}

/** The subject, where it is not empty, and every subject alternative name. */
function namesOf(certificate: Certificate): readonly DerValue[] {
  const { subject, extensions } = certificate
  const alternatives = extensions.get(oids.subjectAltName)
  return [
    ...(readSequence(subject).atEnd ? [] : [{ tag: generalNameTags.directory, content: subject, raw: subject }]),
    ...(alternatives === undefined ? [] : readGeneralNames(alternatives.der)),
  ]
}

function hostOf(uri: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@:]+)(?::\d*)?(?:[/?#]|$)/i.exec(uri)?.[1]?.toLowerCase()
}

/** `example.org` is one host; `.example.org` is every host below it. */
function liesWithin(host: string, constraint: string): boolean {
  const base = constraint.toLowerCase()
  return base.startsWith('.') ? host.endsWith(base) : host === base
}
