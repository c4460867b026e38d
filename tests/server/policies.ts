import { defaultPolicy } from '#policy'

/** The default policy with people in it: bob has a role, nobody else. */
export function policyFor(acts: readonly string[], limits: object = {}, version = 2): string {
  const operators = {
    roles: { fleet: { allow: [{ id: 'r', acts, ...limits }] } },
    bindings: [{ role: 'fleet', operators: ['bob'] }],
  }
  return `${defaultPolicy.replace('version: 1 ', `version: ${version} `)}\noperators: ${JSON.stringify(operators)}\n`
}
