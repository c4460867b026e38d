import assert from 'node:assert/strict'
import test from 'node:test'
import { run, temporaryFolder, up } from '../server/running.js'

test('every command that reads the log over the server stands in it, and what only asks how it goes does not', async (t) => {
  const folder = temporaryFolder(t)
  await up(folder)
  const ways: readonly (readonly [query: string, ...command: string[]])[] = [
    ['event:ca.create limit:100', 'audit', 'search', 'event:ca.create'],
    ['event:server.start limit:3', 'audit', 'tail', '-n', '3', 'event:server.start'],
    ['event:token.create order:oldest', 'audit', 'export', 'event:token.create'],
    ['session:s1', 'audit', 'replay', '--session', 's1'],
    ['proof of record 1', 'audit', 'prove', '1'],
    ['payload 1', 'audit', 'payload', '1'],
    ['payload 2 disclose', 'audit', 'payload', '2', '--disclose'],
  ]
  await Promise.all(ways.map(([, ...command]) => run(folder, command))) // some find nothing; that they looked counts
  for (const command of ['status', 'devices ls', 'audit verify']) await run(folder, command.split(' '))
  const { stdout } = await run(folder, ['audit', 'search', 'event:audit.read', 'operator:admin', '-o', 'json'])
  const records = stdout.split('\n').filter(Boolean)
  const queries = records
    .map((line) => (JSON.parse(line) as { query: string }).query)
    .filter((query) => !query.startsWith('event:audit.read')) // this very question, if it was quick
  for (const [query] of ways)
    assert.ok(
      queries.some((found) => found.startsWith(query)),
      `${query} in ${queries.join(', ')}`,
    )
  assert.equal(
    queries.filter((query) => !ways.some(([known]) => query.startsWith(known))).length,
    0,
    queries.join(', '),
  )
})
