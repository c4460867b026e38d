/** For a file or folder that may rightly not be there: what to have instead. Any other error is thrown again. */
export function orNothing<T>(nothing: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return nothing
    throw error
  }
}
