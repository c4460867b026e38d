import assert from 'node:assert/strict'
import test from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { newChannel, refusals } from '../world.js'
import { startIssuer } from './issuer.js'
import {
  audienceOf,
  claimsFor,
  createOidcWorld,
  joinJob,
  keysOf,
  type OidcWorld,
  refused,
  requestOf,
  rule,
} from './world.js'

test('case 101: a token without a signature, or signed with the public key as if it were a secret, is none', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(1)
  for (const alg of ['none', 'HS256'] as const) {
    const token = await world.issuer.forge(claimsFor(world, keys), alg)
    await refused(world, present(world, keys, token), 'OIDC_TOKEN_INVALID')
  }
  assert.deepEqual(world.issuer.asked, [], 'nobody is asked for keys because of them')
})

test('case 101: keys that a token brings, or names, are not looked at, and nobody is asked for them', async (t) => {
  const world = await createOidcWorld(t)
  const thief = await startIssuer(t)
  const keys = await keysOf(1)
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = await exportJWK(publicKey)
  const places = [{ jku: `${thief.url}/keys` }, { x5u: `${thief.url}/cert` }, { jwk }, { x5c: ['MIIB'] }]
  for (const place of places) {
    const forged = new SignJWT({ ...claimsFor(world, keys) }).setProtectedHeader({
      alg: 'RS256',
      kid: 'mine',
      ...place,
    })
    await refused(world, present(world, keys, await forged.sign(privateKey)), 'OIDC_TOKEN_INVALID')
    const honest = await world.issuer.sign(claimsFor(world, keys), place)
    await present(world, keys, honest)
  }
  assert.deepEqual(thief.asked, [])
})

test('a token of another issuer is refused before anybody is asked for keys, and so is one in another’s name', async (t) => {
  const world = await createOidcWorld(t)
  const foreign = await startIssuer(t)
  const keys = await keysOf(1)
  const own = await foreign.sign({ ...claimsFor(world, keys), iss: foreign.url })
  await refused(world, present(world, keys, own), 'OIDC_ISSUER_UNKNOWN')
  assert.deepEqual([...foreign.asked, ...world.issuer.asked], [])
  const pretended = await foreign.sign(claimsFor(world, keys))
  await refused(world, present(world, keys, pretended), 'OIDC_TOKEN_INVALID')
  assert.deepEqual(foreign.asked, [])
  for (const iss of [undefined, `${world.issuer.url}/`, world.issuer.url.toUpperCase()]) {
    await refused(world, joinJob(world, keys, { claims: { iss } }), 'OIDC_ISSUER_UNKNOWN')
  }
})

test('text that is no token is refused, whatever it is', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(1)
  const good = await world.issuer.sign(claimsFor(world, keys))
  const torn = [good.slice(0, -4), good.replace('.', '..'), `${good}.${good}`, good.split('.').slice(0, 2).join('.')]
  const claims = Buffer.from('{"iss":').toString('base64url')
  for (const text of ['', '.', '..', 'a.b.c', '\0', `e30.${claims}.`, ...torn]) {
    await refused(world, present(world, keys, text), 'OIDC_TOKEN_INVALID')
  }
  const [header = '', , signature = ''] = good.split('.')
  const other = Buffer.from(JSON.stringify({ ...claimsFor(world, keys), repository_id: '43' })).toString('base64url')
  await refused(world, present(world, keys, `${header}.${other}.${signature}`), 'OIDC_TOKEN_INVALID')
})

test('times are held to a minute on either side', async (t) => {
  const world = await createOidcWorld(t)
  const keys = await keysOf(1)
  const now = Math.floor(world.clock.now / 1000)
  const over = { OIDC_TOKEN_EXPIRED: [{ exp: now - 61 }, { exp: now + 300, iat: now - 25 * 3600 }] }
  const early = { OIDC_TOKEN_EARLY: [{ nbf: now + 61 }, { iat: now + 61 }, { iat: undefined }] }
  const invalid = { OIDC_TOKEN_INVALID: [{ exp: undefined }, { exp: 'soon' }, { exp: null }] }
  for (const [code, all] of Object.entries({ ...over, ...early, ...invalid })) {
    for (const claims of all) await refused(world, joinJob(world, keys, { claims }), code)
  }
  await joinJob(world, keys, { claims: { exp: now - 59, nbf: now + 59, iat: now + 59 } })
})

test('case 101: a token for other keys, another profile or another installation is refused', async (t) => {
  const world = await createOidcWorld(t)
  const [keys, others] = [await keysOf(2), await keysOf(2)]
  const right = audienceOf(keys)
  const wrong = [
    audienceOf(others),
    audienceOf(keys.slice(0, 1)),
    audienceOf([...keys, ...others]),
    audienceOf(keys, { profile: 'other' }),
    audienceOf(keys, { trustDomain: 'other.example' }),
    right.toUpperCase(),
    `${right} `,
    'https://github.com/acme',
    '',
    undefined,
    [right, 'https://elsewhere.example'],
    [],
  ]
  for (const aud of wrong) await refused(world, joinJob(world, keys, { claims: { aud } }), 'OIDC_AUDIENCE_MISMATCH')
  await joinJob(world, keys, { claims: { aud: [right] } })
})

test('a job is let in by what its issuer must say and by one of the rules, and by nothing like it', async (t) => {
  const allow = [rule, { ...rule, match: { repository_id: '43', ref: 'refs/heads/main' } }]
  const world = await createOidcWorld(t, { allow })
  const not = [
    { repository_owner_id: '8' },
    { repository_owner_id: undefined },
    { repository_id: '44' },
    { repository_id: '43', ref: 'refs/heads/evil' },
    { repository_id: '42 ' },
    { repository_id: ['42'] },
    { repository_id: { toString: '42' } },
  ]
  for (const claims of not) await refused(world, joinJob(world, await keysOf(1), { claims }), 'OIDC_NOT_ALLOWED')
  assert.deepEqual(new Set(refusals(world)), new Set(['OIDC_NOT_ALLOWED']))
  for (const claims of [{ repository_id: 42 }, { repository_id: '43' }]) {
    await joinJob(world, await keysOf(1), { claims: { ...claims, jti: undefined } })
  }
})

test('what a rule matches on is a claim of the token, never something that every object has', async (t) => {
  const match = { constructor: 'function Object() { [native code] }' }
  const world = await createOidcWorld(t, { allow: [{ ...rule, match }] })
  await refused(world, joinJob(world, await keysOf(1)), 'OIDC_NOT_ALLOWED')
})

function present(world: OidcWorld, keys: Parameters<typeof requestOf>[0], token: string) {
  return world.enrollment.joinWithOidc(requestOf(keys, token), newChannel())
}
