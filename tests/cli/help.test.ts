import assert from 'node:assert/strict'
import test from 'node:test'
import type { Command } from 'commander'
import { CliError } from '../../cli/errors.js'
import { exitCodeOf } from '../../cli/exit.js'
import { createProgram } from '../../cli/main.js'
import { run, temporaryFolder } from '../server/running.js'

test('every command says what it does, and how it is typed', () => {
  const leaves = leavesOf(createProgram('0'))
  assert.ok(leaves.length >= 16)
  for (const command of leaves) {
    const help = helpOf(command)
    assert.ok(command.description() !== '', command.name())
    assert.match(help, new RegExp(`^  touchmark (\\w+ )*${command.name()}\\b`, 'm'), help)
  }
})

test('every example is understood by the command that it stands under', async () => {
  for (const command of leavesOf(createProgram('0'))) {
    for (const [, line = ''] of helpOf(command).matchAll(/^ {2}touchmark (.*)$/gm)) {
      const words = [...line.replace(/ [|>] .*$/, '').matchAll(/'([^']*)'|(\S+)/g)]
      const program = createProgram('0')
      const asked: string[] = []
      for (const leaf of leavesOf(program)) {
        leaf.configureOutput({ writeErr: (text) => assert.fail(`${line}: ${text}`) })
        leaf.exitOverride().action(() => void asked.push(leaf.name()))
      }
      await program.parseAsync(
        words.map(([, quoted, plain]) => quoted ?? plain ?? ''),
        { from: 'user' },
      )
      assert.deepEqual(asked, [command.name()], line)
    }
  }
})

test('without a command it shows the help and says that this was no use of it', async (t) => {
  const folder = temporaryFolder(t)
  const { code, stdout, stderr } = await run(folder, [])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^Usage: touchmark/m)
  assert.match(stderr, /touchmark up starts the server/)
})

test('what was done in part, and a check that failed, have exit codes of their own', () => {
  assert.equal(exitCodeOf(new CliError('PARTLY_DONE', '')), 7)
  assert.equal(exitCodeOf(new CliError('CHECK_FAILED', '')), 8)
})

function leavesOf(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf)
}

function helpOf(command: Command): string {
  let written = ''
  command.configureOutput({ writeOut: (text) => void (written += text) }).outputHelp()
  return written
}
