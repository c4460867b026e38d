import Type, { type Static, type TSchema, type TUnsafe } from 'typebox'

/**
 * A JSON schema that says exactly what a type of protocol/api says. When one of the two changes alone, the argument
 * no longer fits and the build stops; so the document, the validation and the CLI cannot drift apart.
 */
export function held<T>(): <S extends TSchema>(schema: S & Same<Static<S>, Plain<T>>) => TUnsafe<T> {
  return (schema) => Type.Unsafe<T>(schema)
}

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? unknown : Mismatch<A, B>) : Mismatch<A, B>

interface Mismatch<A, B> {
  readonly schemaSays: A
  readonly protocolSays: B
}

/** `readonly` is a promise between our own functions; JSON does not know it. */
type Plain<T> = T extends string | number | boolean | undefined ? T : { -readonly [Key in keyof T]: Plain<T[Key]> }
