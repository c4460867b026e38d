// Writes docs/audit-entry.cddl, the schema of the audit log's entries, from the tables of docs/audit-events.md, which a
// test holds to the code. `npm run schema` after an event or a field was added.
import { readFileSync, writeFileSync } from 'node:fs'

const page = 'docs/audit-events.md'
const [schema = 'docs/audit-entry.cddl'] = process.argv.slice(2)

const head = `; The entries of Touchmark's audit log, one for each leaf of its Merkle tree, in the language of RFC 8610.
; Deterministic CBOR (RFC 8949 §4.2): keys ascend, numbers and lengths are as short as they can be, nothing is
; indefinite. What each event and field means: audit-events.md. A number keeps its meaning for ever.
`

const kinds = `place = (
  version: 1,
  sequence: uint,
  time: int          ; milliseconds since 1970
)

any-text = tstr .size (0..1024) / shortened-text
; What was longer: its first 256 bytes (whole characters), its length in bytes, and its SHA-256.
shortened-text = [tstr .size (0..256), uint .gt 1024, bstr .size 32]
texts = [* any-text]
text-map = { * any-text => any-text }
session = bstr .size 10
; By how much a sequence number is less than the record's own.
back = int
flags = uint .bits flag
flag = &(retain: 0, qos-1: 1, qos-2: 2, dup: 3, will: 4, deny: 5)
`

/** What a kind of the page is called in the schema. */
const types = {
  ...{ text: 'any-text', texts: 'texts', map: 'text-map', bytes: 'bstr', integer: 'int', boolean: 'bool' },
  ...{ session: 'session', back: 'back', flags: 'flags' },
}

writeFileSync(schema, schemaOf(readFileSync(page, 'utf8')))

function schemaOf(markdown) {
  const fields = new Map(rows(markdown, 'Field').map(([name, key, kind]) => [code(name), { key, kind }]))
  const events = rows(markdown, 'Event')
    .map(([name, number, , names]) => ({ name: code(name), number: Number(number), names: codes(names) }))
    .sort((one, other) => one.number - other.number)
  const rules = events.map((event) => ruleOf(event, fields))
  const names = events.map(({ name }) => ruleName(name))
  return [head, `entry = ${names.join(' /\n        ')}\n`, kinds, ...rules].join('\n')
}

function ruleOf({ name, number, names }, fields) {
  const slots = new Map() // several fields can stand behind one key
  for (const text of names) {
    const { key, kind } = fields.get(text.replace('?', ''))
    const type = text.endsWith('?') && kind !== 'flags' ? `? ${key}: ${types[kind]}` : `${key}: ${types[kind]}`
    slots.set(Number(key), { type, names: [...(slots.get(Number(key))?.names ?? []), text.replace('?', '')] })
  }
  const lines = [...slots]
    .sort(([one], [other]) => one - other)
    .map(([, { type, names }], at) => `  ${(at < slots.size - 1 ? `${type},` : type).padEnd(18)} ; ${names.join(', ')}`)
  return `${ruleName(name)} = [place, ${number}, {${['', ...lines].join('\n')}${lines.length > 0 ? '\n' : ''}}]\n`
}

function ruleName(event) {
  return event.replaceAll(/[._]/g, '-')
}

/** Of all tables whose first column is called so. */
function rows(markdown, first) {
  const tables = markdown.split('\n\n').filter((block) => block.startsWith(`| ${first} |`))
  return tables
    .flatMap((table) => table.trim().split('\n').slice(2))
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

function codes(cell) {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text)
}

function code(cell) {
  return codes(cell)[0]
}
