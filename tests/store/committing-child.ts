import { openLevelStore } from '#store'

/** Commits keys without end and prints each one once it is promised; the test kills it at some moment. */
const folder = process.argv[2] ?? ''
const store = await openLevelStore(folder)
for (let number = 0; ; number += 3) {
  await Promise.all([number, number + 1, number + 2].map(commit))
}

async function commit(number: number): Promise<void> {
  const key = `test/${number}`
  await store.commit({ puts: [[key, new Uint8Array(1000).fill(number)]] })
  process.stdout.write(`${key}\n`)
}
