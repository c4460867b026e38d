import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, sep } from 'node:path'
import test from 'node:test'
import ts from 'typescript'

/** The house: each room's floor and the rooms it may import. Change it on purpose, never by accident. */
const rooms: Readonly<Record<string, { readonly floor: number; readonly imports: readonly string[] }>> = {
  protocol: { floor: 1, imports: [] },
  x509: { floor: 2, imports: ['protocol'] },
  tpm: { floor: 2, imports: ['protocol'] },
  store: { floor: 2, imports: ['protocol'] },
  policy: { floor: 2, imports: ['protocol'] },
  backup: { floor: 2, imports: ['protocol'] },
  audit: { floor: 3, imports: ['protocol', 'store'] },
  registry: { floor: 3, imports: ['protocol', 'store'] },
  'device-agent': { floor: 3, imports: ['protocol', 'x509', 'tpm'] },
  ca: { floor: 4, imports: ['protocol', 'x509', 'store', 'registry', 'audit'] },
  broker: { floor: 4, imports: ['protocol', 'x509', 'store', 'policy', 'registry', 'audit'] },
  simulators: { floor: 4, imports: ['protocol', 'x509', 'tpm'] },
  cli: { floor: 4, imports: ['protocol', 'x509', 'audit', 'policy', 'backup'] },
  enrollment: { floor: 5, imports: ['protocol', 'x509', 'tpm', 'registry', 'ca', 'audit'] },
  server: {
    floor: 6,
    imports: [
      ...['protocol', 'x509', 'tpm', 'store', 'policy', 'backup', 'audit', 'registry', 'ca', 'broker', 'enrollment'],
    ],
  },
  bin: { floor: 7, imports: ['server', 'device-agent', 'cli', 'simulators', 'tpm', 'protocol'] },
  demo: { floor: 7, imports: ['simulators', 'protocol'] },
}

/** Folders beside the rooms that hold TypeScript and may import anything. */
const besideRooms = ['tests', 'bench']
const notOurs = ['node_modules', 'dist', 'docs', 'native', 'scripts']

const root = process.cwd()
const files = sourceFiles('.')
const imports = files.flatMap((file) => importsOf(file).map((specifier) => ({ file, room: roomOf(file), specifier })))

test('every folder with TypeScript is a room of the table, and every room holds something', () => {
  const folders = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !notOurs.includes(entry.name))
    .map((entry) => entry.name)
    .filter((folder) => sourceFiles(folder).length > 0)
  for (const folder of folders) assert.ok(folder in rooms || besideRooms.includes(folder), `${folder}/ is no room`)
  for (const room of Object.keys(rooms)) assert.ok(sourceFiles(room).length > 0, `${room}/ is empty`)
})

test('the table itself never points upwards', () => {
  for (const [name, room] of Object.entries(rooms)) {
    for (const other of room.imports)
      assert.ok((rooms[other]?.floor ?? 99) < room.floor, `${name} may not import ${other}`)
  }
})

test('a room imports only the rooms that the table allows, and only through their doors', () => {
  for (const { file, room, specifier } of imports.filter(({ specifier }) => specifier.startsWith('#'))) {
    if (besideRooms.includes(room)) continue
    const other = specifier.slice(1)
    assert.ok(rooms[room]?.imports.includes(other), `${file} imports ${specifier}`)
  }
})

test('a relative path never leaves its room, and never enters through the room’s own door', () => {
  for (const { file, room, specifier } of imports.filter(({ specifier }) => specifier.startsWith('.'))) {
    if (besideRooms.includes(room)) continue
    const target = normalize(join(dirname(file), specifier))
    assert.equal(roomOf(target), room, `${file} reaches out of its room: ${specifier}`)
    assert.notEqual(target, join(room, 'index.js'), `${file} imports its own door`)
  }
})

test('the files of a room form no circle', () => {
  const graph = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts')),
    ]),
  )
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `circle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
})

test('protocol/ runs anywhere: no node: import and no dependency', () => {
  const outside = imports.filter(({ room, specifier }) => room === 'protocol' && !/^\.\.?\//.test(specifier))
  assert.deepEqual(outside, [])
})

test('a door holds names only: written-out exports, nothing from another room, no logic', () => {
  for (const room of Object.keys(rooms)) {
    const door = join(room, 'index.ts')
    if (!existsSync(door)) continue
    const source = parse(door)
    for (const statement of source.statements) {
      assert.ok(ts.isExportDeclaration(statement), `${door} holds more than exports`)
      assert.ok(statement.exportClause && ts.isNamedExports(statement.exportClause), `${door} exports *`)
      assert.ok(
        statement.moduleSpecifier &&
          ts.isStringLiteral(statement.moduleSpecifier) &&
          statement.moduleSpecifier.text.startsWith('./'),
        `${door} re-exports another room`,
      )
    }
  }
})

test('there are no default exports', () => {
  for (const file of files) {
    for (const statement of parse(file).statements) {
      assert.ok(!ts.isExportAssignment(statement), `${file} has a default export`)
    }
  }
})

function sourceFiles(folder: string): readonly string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = normalize(join(folder, entry.name))
    if (entry.isDirectory()) return entry.name.startsWith('.') || notOurs.includes(entry.name) ? [] : sourceFiles(path)
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts') ? [path] : []
  })
}

function roomOf(file: string): string {
  return file.split(sep)[0] ?? ''
}

function parse(file: string): ts.SourceFile {
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023, true)
}

/** Static, type-only and dynamic imports alike. */
function importsOf(file: string): readonly string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      if (ts.isStringLiteral(node.moduleSpecifier)) found.push(node.moduleSpecifier.text)
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments
      if (argument && ts.isStringLiteral(argument)) found.push(argument.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(parse(file))
  return found
}
