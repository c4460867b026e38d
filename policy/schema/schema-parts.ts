import type { Json } from '../policy.js'

/*
 * What the JSON Schema of a policy file is made of.
 */

export type Schema = Readonly<Record<string, Json>>

export const name = { type: 'string', pattern: '^(?!\\.{1,2}$)[A-Za-z0-9._-]{1,64}$' }
export const labels = { type: 'object', propertyNames: name, additionalProperties: name }

/** A map in which nothing else may stand: a misspelt limit must not be no limit. */
export function record(properties: Schema, required: readonly string[] = []): Schema {
  return { type: 'object', additionalProperties: false, properties, required }
}

export function some(items: Schema): Schema {
  return { type: 'array', items, minItems: 1 }
}

export function oneOrMore(item: Schema): Schema {
  return { anyOf: [item, some(item)] }
}

export function whole(minimum: number, maximum: number): Schema {
  return { type: 'integer', minimum, maximum }
}
