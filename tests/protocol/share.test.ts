import assert from 'node:assert/strict'
import test from 'node:test'
import { parseShare, parseTopicFilter } from '#protocol'

const read = (name: string) => parseShare(parseTopicFilter(name))

test('a shared subscription is taken apart into its group and its filter', () => {
  assert.deepEqual(read('$share/g/a/+/#'), { valid: true, share: 'g', filter: 'a/+/#' })
  assert.deepEqual(read('$share/g/#'), { valid: true, share: 'g', filter: '#' })
  assert.deepEqual(read('$share/g//'), { valid: true, share: 'g', filter: '/' })
  assert.deepEqual(read('$share/__proto__/$SYS/#'), { valid: true, share: '__proto__', filter: '$SYS/#' })
})

test('every other filter is its own', () => {
  for (const name of ['a', '/$share/g/t', '$shared/g/t', '$SHARE/g/t', '+/g/t', '#']) {
    assert.deepEqual(read(name), { valid: true, share: undefined, filter: name })
  }
})

test('what begins like a shared subscription and is none is refused', () => {
  for (const name of [
    '$share',
    '$share/',
    '$share//t',
    '$share/g',
    '$share/g/',
    '$share/+/t',
    '$share/#',
    '$share/+',
  ]) {
    assert.equal(read(name).valid, false, name)
  }
})

test('a wildcard within a share name is refused by the grammar of filters already', () => {
  for (const name of ['$share/g+/t', '$share/g#/t', '$share/#/t']) {
    assert.throws(() => parseTopicFilter(name), { code: 'INVALID_TOPIC' })
  }
})

test('a shared subscription of a shared subscription is refused', () => {
  assert.equal(read('$share/g/$share/h/t').valid, false)
  assert.equal(read('$share/g/$share').valid, false)
})
