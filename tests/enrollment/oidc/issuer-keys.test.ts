import assert from 'node:assert/strict'
import test from 'node:test'
import { keyTimes } from '../../../enrollment/oidc/issuer-keys.js'
import { newChannel } from '../world.js'
import { startIssuer } from './issuer.js'
import { createOidcWorld, claimsFor, joinJob, keysOf, type OidcWorld, refused, requestOf } from './world.js'

const discovery = '/.well-known/openid-configuration'

test('keys are asked for once, and again when they are old', async (t) => {
  const world = await createOidcWorld(t)
  await Promise.all([join(world), join(world), join(world)])
  await join(world)
  assert.deepEqual(world.issuer.asked, [discovery, '/keys'])
  world.clock.now += keyTimes.freshMs
  await join(world)
  assert.equal(world.issuer.asked.length, 4)
})

test('a key that is not known is asked for, however many ask for another, once in a while', async (t) => {
  const world = await createOidcWorld(t)
  await join(world)
  const stale = await world.issuer.sign(claimsFor(world, await keysOf(1)))
  await world.issuer.rotate('ES256')
  world.clock.now += keyTimes.restMs
  await join(world)
  assert.equal(world.issuer.asked.length, 4)
  for (const kid of ['a', 'b', 'c']) await assert.rejects(join(world, kid), { code: 'OIDC_TOKEN_INVALID' })
  assert.equal(world.issuer.asked.length, 4)
  const keys = await keysOf(1)
  await refused(world, world.enrollment.joinWithOidc(requestOf(keys, stale), newChannel()), 'OIDC_TOKEN_INVALID')
})

test('an issuer that is down at the start is told of, and asked again', async (t) => {
  const world = await createOidcWorld(t)
  world.issuer.replies.set('/keys', { status: 500 })
  const error = await join(world).catch((error: unknown) => error)
  assert.ok(error instanceof Error && 'code' in error && error.code === 'OIDC_KEYS_UNAVAILABLE')
  assert.ok('retryAfterSeconds' in error && error.retryAfterSeconds === keyTimes.restAfterFailureMs / 1000)
  await refused(world, join(world), 'OIDC_KEYS_UNAVAILABLE')
  assert.equal(world.issuer.asked.length, 2, 'nobody is asked again at once')
  assert.equal(world.warnings.length, 1)
  world.issuer.replies.clear()
  world.clock.now += keyTimes.restAfterFailureMs
  await join(world)
})

test('keys serve for some hours while their issuer is down, and then no more', async (t) => {
  const world = await createOidcWorld(t)
  await join(world)
  await world.issuer.close()
  world.clock.now += keyTimes.mostMs - 1
  await join(world)
  world.clock.now += keyTimes.restAfterFailureMs
  await refused(world, join(world), 'OIDC_KEYS_UNAVAILABLE')
})

test('keys are not from the future: a clock that is set back has them asked for again', async (t) => {
  const world = await createOidcWorld(t)
  await join(world)
  world.clock.now -= 60_000
  await join(world)
  assert.equal(world.issuer.asked.length, 4)
})

test('what is no key set, is too large, or lies elsewhere is not taken', async (t) => {
  const world = await createOidcWorld(t)
  const elsewhere = await startIssuer(t)
  const lone = JSON.stringify({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'key', alg: 'HS256' }] })
  const wrong = [
    ['/keys', { body: `{"keys":[${' '.repeat(300 * 1024)}]}` }],
    ['/keys', { body: JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ kty: 'RSA' })) }) }],
    ['/keys', { status: 302, headers: { location: `${elsewhere.url}/keys` } }],
    ['/keys', { body: 'not JSON' }],
    ['/keys', { body: '{}' }],
    [discovery, { status: 301, headers: { location: `${elsewhere.url}${discovery}` } }],
    [discovery, { body: JSON.stringify({ issuer: elsewhere.url, jwks_uri: `${elsewhere.url}/keys` }) }],
    [discovery, { body: JSON.stringify({ issuer: world.issuer.url, jwks_uri: 'http://127.0.0.1/keys' }) }],
    [discovery, { body: JSON.stringify({ issuer: world.issuer.url }) }],
    [discovery, { body: 'null' }],
  ] as const
  for (const [path, reply] of wrong) {
    world.issuer.replies.clear()
    world.issuer.replies.set(path, reply)
    await refused(world, join(world), 'OIDC_KEYS_UNAVAILABLE')
    world.clock.now += keyTimes.restMs
  }
  world.issuer.replies.clear()
  world.issuer.replies.set('/keys', { body: lone })
  await refused(world, join(world), 'OIDC_TOKEN_INVALID')
  assert.deepEqual(elsewhere.asked, [])
})

test('an issuer whose certificate is of no CA that is trusted for it is not believed', async (t) => {
  const world = await createOidcWorld(t, { ca: (await startIssuer(t)).ca })
  await refused(world, join(world), 'OIDC_KEYS_UNAVAILABLE')
  assert.match(world.warnings[0] ?? '', /certificate|CERT/i)
})

test('where the keys are can be said outright, and then no discovery document is asked for', async (t) => {
  const place = await startIssuer(t)
  const world = await createOidcWorld(t, { url: place.url, ca: place.ca, keysUrl: `${place.url}/keys` })
  const keys = await keysOf(1)
  const token = await place.sign({ ...claimsFor(world, keys), iss: place.url })
  await world.enrollment.joinWithOidc(requestOf(keys, token), newChannel())
  assert.deepEqual(place.asked, ['/keys'])
})

async function join(world: OidcWorld, kid?: string) {
  const keys = await keysOf(1)
  if (kid === undefined) return joinJob(world, keys)
  const token = await world.issuer.sign(claimsFor(world, keys), { kid })
  return world.enrollment.joinWithOidc(requestOf(keys, token), newChannel())
}
