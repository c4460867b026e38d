import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import { typed } from '../../cli/typed.js'

test('only who types the very word goes on', async () => {
  for (const [answer, expected] of [
    ['pump-7\n', true],
    ['  pump-7 \n', true],
    ['pump-70\n', false],
    ['y\n', false],
    ['\n', false],
    ['', false],
  ] as const) {
    const stderr = new PassThrough()
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    stdin.end(answer)
    assert.equal(await typed({ stdin, stderr }, 'What pump-7 said is gone', 'pump-7'), expected, answer)
    stderr.end()
    assert.match(await text(stderr), /What pump-7 said is gone\. Type pump-7 to go on/)
  }
})

test('where nobody can be asked it is a mistake not to have said yes', async () => {
  const terminal = { stdin: new PassThrough(), stderr: new PassThrough() }
  await assert.rejects(typed(terminal, 'gone', 'pump-7'), { code: 'USAGE' })
})
