import assert from 'node:assert/strict'
import test from 'node:test'
import type { Member } from '../../backup/member.js'
import { packRows, type Row, unpackRows } from '../../backup/rows.js'
import { each, member } from './world.js'

test('rows come back in their order, with any key and any value, a row in one member', async () => {
  const rows: readonly Row[] = [
    ['', Buffer.alloc(0)],
    ['registry/é\u{10000}', Buffer.alloc(3 * 1024 * 1024, 7)],
    ...Array.from({ length: 5000 }, (_, at) => [`broker/${at}`, Buffer.alloc(400, at)] as const),
  ]
  const members = await packed(rows)
  assert.deepEqual(
    members.map(({ name }) => name),
    ['store/00000000.rows', 'store/00000001.rows', 'store/00000002.rows'],
  )
  assert.deepEqual(members.flatMap(unpackRows), rows)
  assert.deepEqual(await packed([]), [])
})

test('what does not end with a row is refused', async () => {
  const [whole] = await packed([['key', Buffer.from('value')]])
  assert.ok(whole)
  for (let length = 1; length < whole.bytes.length; length++) {
    const cut = member(whole.name, whole.bytes.subarray(0, length))
    assert.throws(() => unpackRows(cut), { code: 'BACKUP_INVALID' }, `at ${length}`)
  }
})

async function packed(rows: readonly Row[]): Promise<readonly Member[]> {
  const members: Member[] = []
  for await (const one of packRows(each(rows))) members.push(one)
  return members
}
