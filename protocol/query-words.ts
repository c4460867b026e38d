/** One word of a query, such as `is:online`, `-label.site=oslo` or `model:"RX 7"`. */
export interface QueryWord {
  /** As it stands, up to the next space; for who has to find a mistake in it. */
  readonly text: string
  /** Where it begins, counted from 1. */
  readonly column: number
  /** With a leading `-`. */
  readonly negated: boolean
  readonly name: string
  /** What stands between name and value; absent, as the value is, where the word has another form. */
  readonly sign?: ':' | '='
  readonly value?: string
}

/**
 * The words of a query, with spaces between them; a value in quotes may hold spaces, and with a backslash before them
 * quotes and backslashes. What words mean, and which there are, is for the one who asks.
 */
export function* queryWords(query: string): Iterable<QueryWord> {
  const word = /(-?)([^\s:="]*)(?:([:=])(?:"((?:[^"\\]|\\["\\])*)"|([^\s"]+)))?(?=\s|$)/y
  for (let at = skipSpace(query, 0); at < query.length; at = skipSpace(query, word.lastIndex)) {
    const [text = ''] = /^\S+/.exec(query.slice(at)) ?? []
    const column = at + 1
    word.lastIndex = at
    const [, minus = '', name = '', sign, inQuotes, bare] = word.exec(query) ?? []
    const value = inQuotes?.replace(/\\(.)/gs, '$1') ?? bare
    const isWhole = value !== undefined && (sign === ':' || sign === '=')
    yield { text, column, negated: minus !== '', name, ...(isWhole && { sign, value }) }
    if (!isWhole) word.lastIndex = at + text.length
  }
}

function skipSpace(text: string, from: number): number {
  const found = text.slice(from).search(/\S/)
  return found < 0 ? text.length : from + found
}
