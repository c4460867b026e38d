import { join } from 'node:path'
import { type Disk, unfinished } from './disk.js'
import { AgentError } from './errors.js'
import { decodeFacts, encodeFacts, type EnrollmentFacts, type Generation, type IssuedGeneration } from './generation.js'
import { decodeKeyFile, encodeKeyFile, type KeyFile, keyFileNames } from './key-file.js'

/**
 * The device's memory. One numbered folder per key, and one link that says which of them is in use:
 *
 *     generations/7/key.pem | key.tpm, cert.pem, ca.pem, meta.json
 *     current → generations/7
 *
 * The order of writing is the whole safety: the key before the request that names it, certificate and bundle before
 * meta.json, meta.json before the link, and the old folder goes only when the new one has connected. So at any moment
 * there is a pair that works, and a request that is repeated after a crash carries the same key.
 */
export class StateFolder {
  readonly folder: string
  readonly #disk: Disk

  constructor(folder: string, disk: Disk) {
    this.folder = folder
    this.#disk = disk
  }

  /** Finishes or clears away what a crash left half done. Only for whoever holds the lock. */
  async repair(): Promise<void> {
    await this.#removeUnfinished()
    const inUse = await this.#currentNumber()
    for (const number of (await this.#numbers()).filter((number) => number > (inUse ?? 0))) {
      if (await this.#isComplete(number)) await this.switchTo(number)
      else if ((await this.#key(number)) === undefined) await this.#disk.remove(this.#path(number))
    }
  }

  /** What is in use; undefined on a device that never joined. @throws AgentError STATE_INVALID */
  async current(): Promise<IssuedGeneration | undefined> {
    const number = await this.#currentNumber()
    return number === undefined ? undefined : this.#issued(number)
  }

  /** The one before, kept until the current one has connected. */
  async previous(): Promise<IssuedGeneration | undefined> {
    const inUse = await this.#currentNumber()
    const older = (await this.#numbers()).filter((number) => number < (inUse ?? 0)).at(-1)
    return older === undefined || !(await this.#isComplete(older)) ? undefined : this.#issued(older)
  }

  /**
   * The key to ask a certificate for: one that was written before and never answered, or else a new one. The oldest of
   * several: after a fall back that is the one whose certificate the service may count as in use (enrollment spec §5).
   */
  async requestKey(isUsable: (key: KeyFile) => Promise<boolean>, create: () => Promise<KeyFile>): Promise<Generation> {
    const numbers = await this.#numbers()
    const inUse = (await this.#currentNumber()) ?? 0
    for (const number of numbers.filter((one) => one > inUse)) {
      if (await this.#isComplete(number)) continue
      const key = await this.#key(number)
      if (key !== undefined && (await isUsable(key))) return { number, folder: this.#path(number), key }
      await this.#disk.remove(this.#path(number))
    }
    const number = Math.max(...numbers, 0) + 1
    const key = await create()
    await this.#disk.makeFolder(this.#path(number))
    await this.#disk.write(this.#path(number, keyFileNames[key.kind]), encodeKeyFile(key), 0o600)
    return { number, folder: this.#path(number), key }
  }

  /** Puts the certificate beside its key; meta.json comes last and makes the generation complete. */
  async complete(
    generation: Generation,
    issued: { readonly certificateChain: string; readonly trustBundle: string; readonly facts: EnrollmentFacts },
  ): Promise<IssuedGeneration> {
    await this.#disk.write(this.#path(generation.number, 'cert.pem'), issued.certificateChain)
    await this.#disk.write(this.#path(generation.number, 'ca.pem'), issued.trustBundle)
    await this.#disk.write(this.#path(generation.number, 'meta.json'), encodeFacts(issued.facts))
    return { ...generation, ...issued }
  }

  async switchTo(number: number): Promise<void> {
    await this.#disk.point(join(this.folder, 'current'), join('generations', String(number)))
  }

  /**
   * A certificate that came, and to which a full disk kept us from switching. To ask for another with another key would
   * look like a copy of this device (enrollment spec §5).
   */
  async unused(now: number): Promise<IssuedGeneration | undefined> {
    const inUse = await this.#currentNumber()
    const newest = (await this.#numbers()).at(-1)
    if (newest === undefined || newest <= (inUse ?? 0) || !(await this.#isComplete(newest))) return undefined
    const issued = await this.#issued(newest)
    return issued.facts.notAfter.getTime() > now ? issued : undefined
  }

  /** This generation has connected: nothing older is needed any more. A newer one, not yet tried, is no reason to go. */
  async dropOlderThan(connected: number): Promise<void> {
    for (const number of await this.#numbers()) {
      if (number < connected) await this.#disk.remove(this.#path(number))
    }
  }

  /**
   * The current generation does not work: back to the one before. Its key stays as one that was never answered, because
   * the service would take a third key for a copy of this device (enrollment spec §5).
   */
  async fallBack(): Promise<IssuedGeneration | undefined> {
    const older = await this.previous()
    const inUse = await this.#currentNumber()
    if (older === undefined || inUse === undefined) return undefined
    await this.switchTo(older.number)
    await this.#disk.remove(this.#path(inUse, 'meta.json'))
    return older
  }

  /** The latest instant that the service has proven; survives a clock that does not. */
  async clockFloor(): Promise<number> {
    const content = await this.#disk.read(join(this.folder, 'clock'))
    const floor = Date.parse(content?.trim() ?? '')
    return Number.isNaN(floor) ? 0 : floor
  }

  async keepClockFloor(floor: number): Promise<void> {
    await this.#disk.write(join(this.folder, 'clock'), `${new Date(floor).toISOString()}\n`)
  }

  async #issued(number: number): Promise<IssuedGeneration> {
    const metaPath = this.#path(number, 'meta.json')
    const [key, certificateChain, trustBundle, meta] = await Promise.all([
      this.#key(number),
      this.#disk.read(this.#path(number, 'cert.pem')),
      this.#disk.read(this.#path(number, 'ca.pem')),
      this.#disk.read(metaPath),
    ])
    if (key === undefined || certificateChain === undefined || trustBundle === undefined || meta === undefined) {
      const problem = `${this.#path(number)} lacks its key, cert.pem, ca.pem or meta.json; join again with "touchmark-agent enroll --again"`
      throw new AgentError('STATE_INVALID', problem)
    }
    const folder = this.#path(number)
    return { number, folder, key, certificateChain, trustBundle, facts: decodeFacts(meta, metaPath) }
  }

  async #key(number: number): Promise<KeyFile | undefined> {
    for (const kind of ['software', 'tpm'] as const) {
      const content = await this.#disk.read(this.#path(number, keyFileNames[kind]))
      if (content !== undefined) return decodeKeyFile(kind, content)
    }
    return undefined
  }

  async #isComplete(number: number): Promise<boolean> {
    return (await this.#disk.read(this.#path(number, 'meta.json'))) !== undefined
  }

  async #currentNumber(): Promise<number | undefined> {
    const target = await this.#disk.target(join(this.folder, 'current'))
    const number = Number(/^generations\/(\d{1,9})$/.exec(target ?? '')?.[1])
    return Number.isNaN(number) ? undefined : number
  }

  /** In ascending order. */
  async #numbers(): Promise<readonly number[]> {
    const names = await this.#disk.list(join(this.folder, 'generations'))
    const numbers = names.filter((name) => /^[1-9]\d{0,8}$/.test(name)).map(Number)
    return numbers.sort((one, other) => one - other)
  }

  async #removeUnfinished(): Promise<void> {
    const folders = [this.folder, ...(await this.#numbers()).map((number) => this.#path(number))]
    for (const folder of folders) {
      for (const name of await this.#disk.list(folder)) {
        if (name.endsWith(unfinished)) await this.#disk.remove(join(folder, name))
      }
    }
  }

  #path(number: number, name = ''): string {
    return join(this.folder, 'generations', String(number), name)
  }
}
