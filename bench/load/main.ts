import { measure, type Order, type Result } from './measure.js'

/** What the process of the load answers with. */
export type Answer = { readonly result: Result } | { readonly error: string }

process.once('disconnect', () => process.exit())
process.once('message', (order: Order) => {
  measure(order).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ error: describe(error) }),
  )
})

function answer(message: Answer): void {
  process.send?.(message, () => process.exit())
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
