import { isMap, isScalar, parseDocument } from 'yaml'
import { PolicyError } from '../errors.js'
import { parsePolicy } from './parse.js'

/**
 * The same policy under another number: nothing but `metadata.version` changes, comments and layout stay.
 * @throws PolicyError
 */
export function withVersion(source: string, file: string, version: number): string {
  parsePolicy(source, file) // what it refuses might not even be safe to parse
  const document = parseDocument(source, { uniqueKeys: false, version: '1.2', schema: 'core' })
  const written = isMap(document.contents) ? document.getIn(['metadata', 'version'], true) : undefined
  if (!isScalar(written) || !written.range) {
    throw new PolicyError('POLICY_INVALID_VALUE', `${file}:1:1`, 'metadata.version is not where it can be changed')
  }
  const [start, end] = written.range
  return `${source.slice(0, start)}${version}${source.slice(end)}`
}
