import { CST, Lexer } from 'yaml'

/** Far above what a policy needs: brackets open at once, block indicators on one line, columns of indentation. */
const limits = { flow: 16, indicators: 16, columns: 64 } as const

/**
 * Where a source begins to nest too deeply, judged on its tokens alone. Asked before parsing: the parser recurses, and
 * at the end of its stack V8 can abort the whole process instead of throwing.
 */
export function offsetOfDeepNesting(source: string): number | undefined {
  let offset = 0
  let flow = 0
  let indicators = 0
  let lineStart = true
  for (const token of new Lexer().lex(source)) {
    const type = CST.tokenType(token)
    if (type === 'flow-seq-start' || type === 'flow-map-start') flow++
    if (type === 'flow-seq-end' || type === 'flow-map-end') flow = Math.max(0, flow - 1)
    if (type === 'newline') indicators = 0
    // `a: {b: c, d: e}` has many colons that nest nothing; outside of brackets each one does.
    if (type === 'seq-item-ind' || type === 'explicit-key-ind' || (type === 'map-value-ind' && flow === 0)) indicators++
    const tooWide = lineStart && flow === 0 && type === 'space' && token.length > limits.columns
    if (tooWide || flow > limits.flow || indicators > limits.indicators) return offset
    lineStart = type === 'newline'
    if (isSource(token)) offset += token.length
  }
  return undefined
}

/** The lexer marks documents and scalars by control characters that are not in the source. */
function isSource(token: string): boolean {
  return token !== CST.DOCUMENT && token !== CST.FLOW_END && token !== CST.SCALAR
}
