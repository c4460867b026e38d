import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { openLevelStore, StoreError } from '#store'
import { testStoreContract } from '../../store/contract.js'
import { asRoot, fillDisk, mountSmallDisk } from '../small-disk.js'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))))

testStoreContract('level', async () => await openLevelStore(await newFolder()))

test('what was committed is there when the store is opened again', async () => {
  const folder = await newFolder()
  const first = await openLevelStore(folder)
  await first.commit({ puts: [['a', Uint8Array.of(1)]] })
  await first.close()
  const second = await openLevelStore(folder)
  assert.deepEqual([...((await second.get('a')) ?? [])], [1])
  await second.close()
})

test('a folder that is open already is refused with STORE_LOCKED, and the first is not disturbed', async () => {
  const folder = await newFolder()
  const first = await openLevelStore(folder)
  await assert.rejects(openLevelStore(folder), { code: 'STORE_LOCKED' })
  await first.commit({ puts: [['a', Uint8Array.of(1)]] })
  await first.close()
})

test('a folder that cannot be one is refused with STORE_FAILED', async () => {
  const file = join(await newFolder(), 'file')
  await writeFile(file, '')
  await assert.rejects(openLevelStore(join(file, 'store')), { code: 'STORE_FAILED' })
})

for (const [damage, change] of [
  ['its manifest is not what was written', async (folder: string) => overwrite(folder, /^MANIFEST-/)],
  ['its manifest is gone', async (folder: string) => remove(folder, /^MANIFEST-/)],
  ['a table is gone', async (folder: string) => remove(folder, /\.ldb$/)],
  ['a table is cut short', async (folder: string) => overwrite(folder, /\.ldb$/)],
] as const) {
  test(`a store is said to be damaged, in which folder and what to do, when ${damage}`, async () => {
    const folder = await newFolder()
    const store = await openLevelStore(folder)
    // Enough for tables of their own beside the log of the last changes.
    for (let at = 0; at < 10; at++) await store.commit({ puts: [[`a/${at}`, randomBytes(1_000_000)]] })
    await store.close()
    await change(folder)
    await assert.rejects(
      async () => {
        const opened = await openLevelStore(folder)
        try {
          for await (const [key] of opened.entries('a/')) assert.ok(key)
        } finally {
          await opened.close()
        }
      },
      (error: unknown) => {
        assert.ok(error instanceof StoreError)
        assert.equal(error.code, 'STORE_DAMAGED', error.message)
        assert.ok(error.message.includes(folder))
        return true
      },
    )
  })
}

test('after kill -9 everything that was promised is there', async () => {
  for (let round = 0; round < 3; round++) {
    const folder = await newFolder()
    const child = committing(folder)
    const promised: string[] = []
    for await (const line of createInterface(child.stdout)) {
      promised.push(line)
      if (promised.length === 20 + 17 * round) child.kill('SIGKILL')
    }
    const store = await openLevelStore(folder)
    for (const key of promised) assert.equal((await store.get(key))?.length, 1000, key)
    await store.close()
  }
})

test('a disk that takes no more bytes rejects the commit with STORE_FAILED and keeps what was promised', async () => {
  const folder = await newFolder()
  const child = committing(folder, { fileBlocks: 64 })
  const promised: string[] = []
  const errors: string[] = []
  createInterface(child.stderr).on('line', (line) => errors.push(line))
  for await (const line of createInterface(child.stdout)) promised.push(line)
  if (child.exitCode === null) await once(child, 'close')
  assert.match(errors.join('\n'), /STORE_FAILED/)
  assert.ok(promised.length > 0)
  const store = await openLevelStore(folder)
  for (const key of promised) assert.equal((await store.get(key))?.length, 1000, key)
  await store.close()
})

test('a full disk rejects the commit with STORE_FULL, and opening, too', asRoot(), async (t) => {
  const disk = join(await newFolder(), 'disk')
  const unmount = mountSmallDisk(disk, 2)
  t.after(unmount)
  const folder = join(disk, 'store')
  const store = await openLevelStore(folder)
  fillDisk(disk, 0)
  const large = [['a', new Uint8Array(100_000)]] as const
  await assert.rejects(store.commit({ puts: large }), { code: 'STORE_FULL' })
  await store.close()
  await assert.rejects(openLevelStore(folder), { code: 'STORE_FULL' })
})

/** `fileBlocks` bounds the size of any file it writes, in units of 512 or 1024 bytes: the shell's stand-in for a full disk. */
function committing(folder: string, { fileBlocks }: { fileBlocks?: number } = {}) {
  const program = new URL('./committing-child.js', import.meta.url).pathname
  const limit = fileBlocks === undefined ? '' : `ulimit -f ${fileBlocks};`
  return spawn('sh', ['-c', `${limit} exec "$@"`, 'sh', process.execPath, program, folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'touchmark-store-'))
  folders.push(folder)
  return folder
}

async function remove(folder: string, name: RegExp): Promise<void> {
  for (const file of await readdir(folder)) if (name.test(file)) await rm(join(folder, file))
}

async function overwrite(folder: string, name: RegExp): Promise<void> {
  for (const file of await readdir(folder)) if (name.test(file)) await writeFile(join(folder, file), 'nonsense')
}
