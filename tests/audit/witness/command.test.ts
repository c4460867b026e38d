import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createCertificate, createKeyPair, encodePem, oids, spkiOf } from '#x509'
import { parseCheckpoint } from '../../../audit/tree/checkpoint.js'
import { createHistory, type History, origin } from './history.js'

const touchmark = fileURLToPath(new URL('../../../bin/touchmark.js', import.meta.url))

test('says who it is, and is the same witness after it was started again', async (t) => {
  const { history, start } = await createFolder(t)
  const first = await start('--name', 'witness.test/one')
  assert.equal(first.ready.name, 'witness.test/one')
  assert.match(first.ready.verifierKey, /^witness\.test\/one\+[0-9a-f]{8}\+B/)
  assert.deepEqual(first.ready.logs, [{ origin, size: 0 }])
  assert.equal(await first.add(await history.submission(0, 20)), 200)
  await first.end('SIGTERM')
  assert.equal(first.child.exitCode, 0)
  const again = await start()
  assert.equal(again.ready.verifierKey, first.ready.verifierKey)
  assert.deepEqual(again.ready.logs, [{ origin, size: 20 }])
})

test('after kill -9 at any moment it knows at least what it has answered', async (t) => {
  const { history, start } = await createFolder(t)
  let cosigned = 0
  for (let round = 0; round < 5; round++) {
    const witness = await start()
    const known = witness.ready.logs[0]?.size ?? -1
    assert.ok(known >= cosigned, `${known} after it had answered ${cosigned}`)
    cosigned = known
    const killAt = cosigned + 3 + round
    for (let newer = cosigned + 1; witness.child.exitCode === null && witness.child.signalCode === null; newer++) {
      const body = await history.submission(newer - 1, newer)
      if (newer === killAt) witness.child.kill('SIGKILL')
      const status = await witness.add(body).catch(() => undefined)
      if (status === undefined) break
      assert.equal(status, 200)
      cosigned = newer
    }
    await witness.end('SIGKILL')
  }
  assert.ok(cosigned > 10)
})

test('case 105: keeps a fork that it was shown, and says so once', async (t) => {
  const { folder, history, start } = await createFolder(t)
  const witness = await start()
  await witness.add(await history.submission(0, 20))
  const fork = history.forkAt(3)
  assert.equal(await witness.add(await fork.submission(20, 20)), 422)
  assert.equal(await witness.add(await fork.submission(20, 20)), 422)
  await witness.end('SIGTERM')
  assert.equal((await witness.errors).match(/FORK/g)?.length, 1)
  const [file = ''] = await readdir(join(folder, 'w', 'forks'))
  const notes = (await readFile(join(folder, 'w', 'forks', file), 'utf8')).split('\n\n\n')
  const roots = notes.map((note) => parseCheckpoint(note.endsWith('\n') ? note : `${note}\n`).root)
  assert.equal(roots.length, 2)
  assert.notDeepEqual(roots[0], roots[1])
})

test('two witnesses never share a folder, and one never changes its name', async (t) => {
  const { start, fail } = await createFolder(t)
  const witness = await start('--name', 'witness.test/one')
  assert.match(await fail(), /STORE_LOCKED/)
  await witness.end('SIGTERM')
  assert.match(await fail('--name', 'witness.test/two'), /AUDIT_INVALID/)
})

test('a key that is none, and half of what TLS needs, are refused with words', async (t) => {
  const { fail } = await createFolder(t)
  assert.match(await fail('--log', 'no/such+file'), /CANNOT_READ/)
  assert.match(await fail('--tls-cert', 'w.crt'), /USAGE/)
  assert.match(await fail('--name', 'a b'), /AUDIT_INVALID/)
})

test('a certificate and a key that do not belong together are refused before it says ready', async (t) => {
  const { folder, start, fail } = await createFolder(t)
  const [cert, key] = [join(folder, 'w.crt'), join(folder, 'w.key')]
  const given = ['--tls-cert', cert, '--tls-key', key]
  const own = createKeyPair('P-256')
  await writeFile(cert, encodePem('CERTIFICATE', await selfSigned(own)))
  for (const { privateKey } of [createKeyPair('P-256'), generateKeyPairSync('ed25519')]) {
    await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    assert.match(await fail(...given), /BAD_CREDENTIAL/, privateKey.asymmetricKeyType)
  }
  await writeFile(key, own.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  assert.match(await fail('--tls-cert', key, '--tls-key', cert), /BAD_CREDENTIAL/, 'swapped')
  assert.match((await start(...given)).ready.url, /^https:/)
})

async function selfSigned({ publicKey, privateKey }: ReturnType<typeof createKeyPair>): Promise<Uint8Array> {
  const validity = { notBefore: new Date(), notAfter: new Date(Date.now() + 3_600_000) }
  const subject = [{ type: oids.commonName, value: 'localhost' }]
  const certificate = {
    ...validity,
    subject,
    spki: spkiOf(publicKey),
    authority: {},
    keyUsage: ['keyCertSign'] as const,
  }
  return await createCertificate(certificate, { privateKey })
}

interface Ready {
  readonly event: 'ready'
  readonly name: string
  readonly verifierKey: string
  readonly url: string
  readonly logs: readonly { readonly origin: string; readonly size: number }[]
}

/** A folder for a witness of one log; what was started there ends with the test. */
async function createFolder(t: TestContext) {
  const history: History = createHistory(60)
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-witness-'))
  const children: ChildProcess[] = []
  t.after(async () => {
    await Promise.all(children.map((child) => end(child, 'SIGKILL')))
    await rm(folder, { recursive: true, force: true })
  })
  const run = (args: readonly string[]) => {
    const all = [
      'witness',
      '-o',
      'json',
      '--log',
      history.verifierKey,
      '--state',
      join(folder, 'w'),
      '--port',
      '0',
      ...args,
    ]
    const child = spawn(process.execPath, [touchmark, ...all], { stdio: ['ignore', 'pipe', 'pipe'] })
    children.push(child)
    return { child, errors: text(child.stderr) }
  }
  return {
    history,
    folder,
    async start(...args: readonly string[]) {
      const { child, errors } = run(args)
      for await (const line of createInterface({ input: child.stdout })) {
        const ready = JSON.parse(line) as Ready
        const add = async (body: string) =>
          (await fetch(`${ready.url}/add-checkpoint`, { method: 'POST', body })).status
        return { ready, child, errors, add, end: (signal: NodeJS.Signals) => end(child, signal) }
      }
      throw new Error(`it ended before it was ready: ${await errors}`)
    },
    async fail(...args: readonly string[]) {
      const { child, errors } = run(args)
      await once(child, 'close')
      assert.notEqual(child.exitCode, 0)
      return await errors
    },
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
}
