/**
 * A reader that has seen enough (`| head`) is no error. `then` says what follows: most programs are done, a server goes on.
 */
export function onClosedOutput(then: () => void): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      then()
    })
  }
}
