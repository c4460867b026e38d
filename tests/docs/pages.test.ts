import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { tableRows } from './tables.js'
import { patternOf, testFiles, titlesIn } from './titles.js'

const pages = ['README.md', 'CONTRIBUTING.md', ...markdownIn('docs')]

test('every link within the pages leads to a file, and to a heading where it names one', () => {
  for (const page of pages) {
    for (const [, target = ''] of readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      assert.ok(existsSync(file), `${page}: ${target}`)
      if (anchor !== undefined) assert.ok(anchorsOf(file).has(anchor), `${page}: no heading for ${target}`)
    }
  }
})

test('the threat model names tests that there are', () => {
  const cells = tableRows(readFileSync('docs/threat-model.md', 'utf8'), 'Attacker').map((row) => row.at(-1) ?? '')
  const named = cells.flatMap((cell) => [...cell.matchAll(/`([\w./-]+\.test\.ts)`(?:: ([^`]+))?/g)])
  assert.ok(named.length > 30)
  for (const [, name = '', sentence] of named) {
    const files = testFiles.filter((file) => `/${file}`.endsWith(`/${name}`))
    assert.notEqual(files.length, 0, name)
    if (sentence === undefined) continue
    const title = plain(sentence.replace(/[.,]?\s*$/, ''))
    const isThere = files
      .flatMap(titlesIn)
      .map(plain)
      .some((known) => known.includes(title) || patternOf(known).test(title))
    assert.ok(isThere, `${name}: ${title}`)
  }
})

function plain(text: string): string {
  return text.replace(/\\?[’']/g, "'")
}

function anchorsOf(file: string): ReadonlySet<string> {
  const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

function markdownIn(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md'))
  return names.map((name) => join(folder, name))
}
