import { ServerError } from './errors.js'
import { isErrno } from './files.js'

/** Opens a listener and says in words why it cannot be opened. @throws ServerError PORT_IN_USE, CANNOT_LISTEN */
export async function listening<T>(what: string, host: string, port: number, open: () => Promise<T>): Promise<T> {
  try {
    return await open()
  } catch (cause) {
    const code = errnoOf(cause)
    if (code === 'EADDRINUSE') {
      const advice = 'Stop the other program, or choose another port (see "touchmark up --help").'
      throw new ServerError('PORT_IN_USE', `port ${port} for ${what} is in use on ${host}. ${advice}`, { cause })
    }
    if (code === undefined) throw cause
    throw new ServerError('CANNOT_LISTEN', `cannot listen on ${host} port ${port} for ${what}: ${reason(code)}`, {
      cause,
    })
  }
}

/** The operating system's word, however deep a room has wrapped it. */
function errnoOf(error: unknown): string | undefined {
  if (isErrno(error)) return error.code
  return error instanceof Error ? errnoOf(error.cause) : undefined
}

function reason(code: string): string {
  if (code === 'EACCES') return 'ports below 1024 need a privilege that this user does not have'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'this machine has no such address'
  return code
}
