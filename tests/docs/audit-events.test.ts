import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import ts from 'typescript'
import { eventNumbers, fields } from '../../audit/entries/fields.js'
import { tableRows } from './tables.js'

/* The page that auditors read is held to the code that writes the log: no event and no field is missing or made up. */

const page = readFileSync('docs/audit-events.md', 'utf8')

test('the page names every event with its number and its fields', () => {
  const written = tableRows(page, 'Event', 'Number').map(([event, number, , names]) => [
    codesIn(event).join(),
    Number(number),
    codesIn(names).toSorted(),
  ])
  const types = fieldsOfEvents()
  const expected = Object.entries(eventNumbers).map(([event, number]) => [event, number, types.get(event)])
  assert.deepEqual(byName(written), byName(expected))
})

test('the page names every field with its key and its kind', () => {
  const written = tableRows(page, 'Field', 'Key').map(([field, key, kind]) => [
    codesIn(field).join(),
    Number(key),
    kind,
  ])
  const expected = Object.entries(fields).map(([field, [key, kind]]) => [field, key, kind])
  assert.deepEqual(byName(written), byName(expected))
})

function codesIn(cell = ''): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** As the types of protocol/events say it; a field that can be absent ends in `?`. */
function fieldsOfEvents(): ReadonlyMap<string, readonly string[]> {
  const source = 'protocol/audit.ts'
  const program = ts.createProgram([source], { strict: true, exactOptionalPropertyTypes: true, noEmit: true })
  const checker = program.getTypeChecker()
  const declarations = program.getSourceFile(source)?.statements ?? []
  const union = declarations.find((node) => ts.isTypeAliasDeclaration(node) && node.name.text === 'AuditEvent')
  assert.ok(union, `${source} declares AuditEvent`)
  const type = checker.getTypeAtLocation(union)
  assert.ok(type.isUnion())
  return new Map(type.types.map((member) => describe(checker, member, union)))
}

function describe(checker: ts.TypeChecker, member: ts.Type, at: ts.Node): readonly [string, readonly string[]] {
  const properties = member.getProperties()
  const event = properties.find(({ name }) => name === 'event')
  const literal = event && checker.getTypeOfSymbolAtLocation(event, at)
  assert.ok(literal?.isStringLiteral(), 'every event has its name as a literal type')
  const names = properties
    .filter((property) => property !== event)
    .map(({ name, flags }) => {
      return flags & ts.SymbolFlags.Optional ? `${name}?` : name
    })
  return [literal.value, names.toSorted()]
}

function byName(rows: readonly (readonly unknown[])[]): readonly (readonly unknown[])[] {
  return rows.toSorted((one, other) => (String(one[0]) < String(other[0]) ? -1 : 1))
}
