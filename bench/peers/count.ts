import { createReadStream } from 'node:fs'

/** How often a text occurs in a file of any size. */
export async function countInFile(path: string, text: string): Promise<number> {
  let count = 0
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const bytes = Buffer.concat([rest, Buffer.from(chunk)])
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length)) count++
    rest = bytes.subarray(Math.max(0, bytes.length - text.length + 1)) // too short to hold it whole
  }
  return count
}
