// Writes the types of `touchmark/agent` beside what is compiled of it: of these files only, which need no other of ours.
import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

for (const file of ['api', 'library']) {
  const source = readFileSync(`device-agent/library/${file}.ts`, 'utf8')
  const { outputText, diagnostics } = ts.transpileDeclaration(source, {
    fileName: `${file}.ts`,
    reportDiagnostics: true,
    compilerOptions: { declaration: true, isolatedDeclarations: true, target: ts.ScriptTarget.ES2023 },
  })
  for (const { messageText } of diagnostics ?? []) throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'))
  writeFileSync(`dist/device-agent/library/${file}.d.ts`, outputText)
}
