declare const brand: unique symbol

/** A value that was checked once, where it came in; afterwards its type is the proof. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }
