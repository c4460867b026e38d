import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

/** Has a method of the product do something else for as long as the test takes; `ask`: what it does else. */
export function replace<On extends object, Name extends keyof On>(
  { mock }: TestContext,
  on: On,
  name: Name,
  instead: (self: On, ask: On[Name], ...given: GivenTo<On[Name]>) => AnswerOf<On[Name]>,
): void {
  const method = on[name]
  assert.ok(typeof method === 'function')
  const other = function (this: On, ...given: GivenTo<On[Name]>): AnswerOf<On[Name]> {
    return instead(this, method.bind(this) as On[Name], ...given)
  }
  mock.method(on, name, other, {})
}

type GivenTo<Method> = Method extends (...given: infer Given) => unknown ? Given : never
type AnswerOf<Method> = Method extends (...given: never) => infer Answer ? Answer : never
