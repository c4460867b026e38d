import type { TopicPolicy } from './policy.js'

/** Where each rule stands, `file:line:column`, by its id. */
export function placesOf({ roles }: TopicPolicy): ReadonlyMap<string, string> {
  const rules = [...roles.values()].flatMap(({ allow, deny, discover }) => [...allow, ...deny, ...discover])
  return new Map(rules.map(({ id, at }) => [id, at]))
}
