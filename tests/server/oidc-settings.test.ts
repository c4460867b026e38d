import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { readConfig } from '../../server/config.js'
import { parseConfigFile, renderConfigFile } from '../../server/config-file.js'
import { oidcWarnings } from '../../server/oidc-settings.js'
import { temporaryFolder } from './running.js'

const github = `name: github, issuer: "https://token.actions.githubusercontent.com"`
const allow = `allow: [{match: {repository_id: 123}}]`

test('an issuer has safe defaults, and its ids need no quotes', (t) => {
  const [issuer] = configured(t, `{${github}, ${allow}}`).oidc
  assert.deepEqual(JSON.parse(JSON.stringify(issuer)), {
    name: 'github',
    url: 'https://token.actions.githubusercontent.com',
    algorithms: ['RS256', 'ES256'],
    run: [],
    match: {},
    allow: [
      { match: { repository_id: '123' }, labels: {}, profiles: ['default'], devices: 1000, lifetimeSeconds: 3600 },
    ],
  })
  assert.deepEqual(configured(t, '').oidc, [])
})

test('no algorithm without a key pair can be configured, nor an address without TLS', (t) => {
  for (const algorithm of ['none', 'HS256', 'HS512', 'rs256', 'dir']) {
    const refused = () => configured(t, `{${github}, algorithms: [RS256, ${algorithm}], ${allow}}`)
    assert.throws(refused, { code: 'CONFIG_INVALID', message: /oidc\[0\]\.algorithms\[1\].*RS256, RS384/s })
  }
  for (const url of ['http://issuer.example', 'issuer.example', 'https://u:p@issuer.example', 'file:///etc/passwd']) {
    assert.throws(() => configured(t, `{name: a, issuer: "${url}", ${allow}}`), { code: 'CONFIG_INVALID' })
    assert.throws(() => configured(t, `{${github}, jwksUri: "${url}", ${allow}}`), { code: 'CONFIG_INVALID' })
  }
})

test('a rule that lets in every job of an issuer is refused, and so are bounds beyond an hour and 10,000 devices', (t) => {
  const wrong = [
    `{${github}, allow: [{match: {}}]}`,
    `{${github}, allow: [{match: {repository_id: 1}, minutes: 61}]}`,
    `{${github}, allow: [{match: {repository_id: 1}, devices: 10001}]}`,
    `{${github}, allow: [{match: {repository_id: 1}, labels: {"a b": c}}]}`,
    `{${github}, allow: [{match: {repository_id: 1.5}}]}`,
    `{${github}, caFile: absent.pem, ${allow}}`,
    `{name: "Git Hub", issuer: "https://issuer.example", ${allow}}`,
    `{${github}, ${allow}}, {name: other, issuer: "https://token.actions.githubusercontent.com", ${allow}}`,
    `{${github}, ${allow}}, {name: github, issuer: "https://issuer.example", ${allow}}`,
  ]
  for (const issuers of wrong) assert.throws(() => configured(t, issuers), { code: 'CONFIG_INVALID' }, issuers)
})

test('a rule that goes by names alone is warned of', (t) => {
  const named = `{${github}, allow: [{match: {repository: acme/sims, sub: x}}, {match: {project_id: 1, ref: main}}]}`
  const [warning, ...others] = oidcWarnings(configured(t, named).oidc)
  assert.match(warning ?? '', /^oidc github, rule 1: it goes by names/)
  assert.deepEqual(others, [])
  const owned = `{${github}, match: {repository_owner_id: 1}, allow: [{match: {ref: main}}]}`
  assert.deepEqual(oidcWarnings(configured(t, owned).oidc), [])
})

test('what was configured is written down as it was', (t) => {
  const config = configured(t, `{${github}, run: [run_id], ${allow}}`)
  assert.deepEqual(parseConfigFile(renderConfigFile({ ...config, ekRoots: [] }), '').oidc, config.oidcFile)
})

function configured(t: TestContext, issuers: string) {
  const folder = temporaryFolder(t)
  const file = join(folder, 'touchmark.yaml')
  writeFileSync(file, `oidc: [${issuers}]\n`)
  return readConfig(['--data', folder, '--config', file], {}, '0')
}
