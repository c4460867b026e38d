import { type Command, InvalidArgumentError } from 'commander'
import { commitmentOf } from '#audit'
import { type Act, type PayloadDisclosureView } from '#protocol'
import type { Context } from '../../context.js'
import { CliError } from '../../errors.js'
import { readNamed, writeNamed } from '../../named-files.js'
import type { Output } from '../../output.js'
import { commentOption, formatTime } from '../arguments.js'
import { examples } from '../examples.js'

interface PayloadCommandOptions extends Act {
  readonly out?: string
  readonly disclose?: true
  readonly check?: string
}

export function addPayload(audit: Command, { client, output }: Context): void {
  audit
    .command('payload')
    .argument('<sequence>', "of the message's message.publish record", parseSequence)
    .description('what a message said, if it is stored, or what proves to others what it said')
    .addHelpText(
      'after',
      '\nThe log never holds a payload; each message.publish record commits to one. Anyone who is shown r and a payload can' +
        '\ncheck: SHA-256(r, length in 4 bytes, payload) is the payloadCommitment of the record. r opens no other message.' +
        '\nPayloads are stored where touchmark.yaml says audit.payload: store. That you looked is recorded.',
    )
    .addHelpText(
      'after',
      examples(
        'audit payload 4711',
        'audit payload 4711 --out reading.bin',
        'audit payload 4711 --disclose -o json > disclosure.json',
        'audit payload 4711 --check reading.bin',
      ),
    )
    .option('--out <file>', 'write the payload into a file, byte for byte')
    .option('--disclose', 'r, and what else a third party needs')
    .option('--check <file>', 'whether this file is what was said; exit code 8 if it is not')
    .option(...commentOption)
    .action(async (id: string, { out, disclose, check: file, comment }: PayloadCommandOptions) => {
      if ([out, disclose, file].filter((option) => option !== undefined).length > 1) {
        throw new CliError('USAGE', 'expected only one of --out, --disclose and --check')
      }
      const which = { id, query: { comment } }
      if (file !== undefined)
        return check(output(), file, readNamed(file), await client().call('disclosePayload', which))
      if (disclose) return showDisclosure(output(), await client().call('disclosePayload', which))
      show(output(), id, await client().bytes('getPayload', which), out)
    })
}

function show(output: Output, id: string, payload: Buffer, out: string | undefined): void {
  if (out !== undefined) {
    writeNamed(out, payload, 0o600)
    output.note(`${payload.length} bytes in ${out}`)
    return
  }
  const text = textOf(payload)
  output.one(
    {
      sequence: Number(id),
      size: payload.length,
      ...(text !== undefined && { text }),
      base64: payload.toString('base64'),
    },
    [['size', String(payload.length)], text === undefined ? ['base64', payload.toString('base64')] : ['text', text]],
  )
}

function showDisclosure(output: Output, disclosure: PayloadDisclosureView): void {
  const { sequence, time, device, topic, size, payloadCommitment, r } = disclosure
  output.one(disclosure, [
    ['record', String(sequence)],
    ['time', formatTime(time, 'milliseconds')],
    ['device', device],
    ['topic', topic],
    ['size', String(size)],
    ['payloadCommitment', payloadCommitment],
    ['r', r],
  ])
}

function check(output: Output, file: string, payload: Buffer, disclosure: PayloadDisclosureView): void {
  const { sequence, device, topic, time, payloadCommitment, r } = disclosure
  const ok = commitmentOf(Buffer.from(r, 'hex'), payload).toString('hex') === payloadCommitment
  output.one({ ok, ...disclosure }, [
    ['record', `${sequence}: ${device} on ${topic}, ${formatTime(time, 'milliseconds')}`],
    ['file', ok ? 'is what was said' : 'is NOT what was said'],
  ])
  if (!ok) throw new CliError('CHECK_FAILED', `${file} is not the payload that record ${sequence} commits to`)
}

/** Undefined for what is no text that a person can read. */
function textOf(payload: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)
    return /[^\P{Cc}\t\n\r]/u.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

function parseSequence(text: string): string {
  if (!/^(0|[1-9]\d{0,14})$/.test(text)) throw new InvalidArgumentError('expected the sequence number of a record')
  return text
}
