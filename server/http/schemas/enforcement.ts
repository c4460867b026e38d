import Type from 'typebox'
import { count } from './fields.js'

/** Fields of the answer to an act that keeps somebody out. */
export const enforcement = {
  sessions: count,
  purged: count,
  recorded: Type.Boolean(),
  outstanding: Type.Array(Type.String()),
}
