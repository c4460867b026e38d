import { readFileSync, writeFileSync } from 'node:fs'
import { CliError } from './errors.js'

/** A file that was named on the command line; `expected` says what should be in it. @throws CliError CANNOT_READ */
export function readNamed(path: string, expected?: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    const hint = expected === undefined ? '' : `: expected ${expected}`
    throw new CliError('CANNOT_READ', `cannot read ${path} (${reasonOf(cause)})${hint}`, { cause })
  }
}

/** The same as text. @throws CliError CANNOT_READ */
export function readNamedText(path: string, expected?: string): string {
  return readNamed(path, expected).toString('utf8')
}

/** Readable for others only where `mode` lets them. @throws CliError CANNOT_WRITE */
export function writeNamed(path: string, content: string | Uint8Array, mode = 0o666): void {
  try {
    writeFileSync(path, content, { mode })
  } catch (cause) {
    throw cannotWrite(path, cause)
  }
}

export function cannotWrite(path: string, cause: unknown): CliError {
  return new CliError('CANNOT_WRITE', `cannot write ${path} (${reasonOf(cause)})`, { cause })
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
}
