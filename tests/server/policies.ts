import { defaultPolicy } from '#policy'

/** The default policy with people in it: bob has a role, nobody else. */
export function policyFor(acts: readonly string[], limits: object = {}, version = 2): string {
  return policyWith([{ id: 'r', acts, ...limits }], version)
}

/** The same with a role of several rules. */
export function policyWith(allow: readonly object[], version: number): string {
  return withOperators(version, {
    roles: { fleet: { allow } },
    bindings: [{ role: 'fleet', operators: ['bob'] }],
  })
}

/** The default policy with these people in it, each in a role of his own, and what they may do. */
export function policyOf(people: Readonly<Record<string, readonly string[]>>, version: number): string {
  const names = Object.keys(people)
  return withOperators(version, {
    roles: Object.fromEntries(names.map((name) => [name, { allow: [{ id: 'r', acts: people[name] }] }])),
    bindings: names.map((name) => ({ role: name, operators: [name] })),
  })
}

function withOperators(version: number, operators: object): string {
  return `${defaultPolicy.replace('version: 1 ', `version: ${version} `)}\noperators: ${JSON.stringify(operators)}\n`
}
