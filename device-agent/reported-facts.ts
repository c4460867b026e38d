import { readFile } from 'node:fs/promises'
import { arch, release, type } from 'node:os'
import type { Labels } from '#protocol'

export interface FactsOptions {
  /** Of the agent. */
  readonly version: string
  /** What is said beside the rest, and instead of it where both say it: `facts` of the settings. */
  readonly own?: Labels | undefined
  /** A file of the system as text; undefined where there is none. Default: the system's own. */
  readonly read?: (path: string) => Promise<string | undefined>
}

/**
 * What this machine says of itself at a join and at each renewal, for people to read and to look for. The service stores
 * it as reported and never matches on it, so that nothing here is a promise, and nothing here may be secret.
 */
export async function reportedFacts({ version, own, read = readIfThere }: FactsOptions): Promise<Labels> {
  const dmi = (name: string) => read(`/sys/class/dmi/id/${name}`)
  const [product, board, firmware, osRelease] = await Promise.all([
    dmi('product_name'),
    read('/proc/device-tree/model'), // of boards that have no DMI
    dmi('bios_version'),
    read('/etc/os-release'),
  ])
  const found = {
    model: cleaned(product) ?? cleaned(board),
    firmware: cleaned(firmware),
    os: prettyName(osRelease) ?? `${type()} ${release()}`,
    kernel: `${type()} ${release()}`,
    arch: arch(),
    agent: version,
    runtime: `Node.js ${process.version}`,
  }
  const said = Object.entries(found).filter((fact): fact is [string, string] => fact[1] !== undefined)
  return { ...Object.fromEntries(said), ...own }
}

/** `PRETTY_NAME` of os-release(5). */
function prettyName(osRelease = ''): string | undefined {
  const [, quoted, bare] = /^PRETTY_NAME=(?:"(.*)"|(.*))$/m.exec(osRelease) ?? []
  return cleaned(quoted ?? bare)
}

/** Firmware fills its names up with zeros and spaces. */
function cleaned(text = ''): string | undefined {
  const clean = text
    .replace(/\p{C}+/gu, ' ')
    .trim()
    .slice(0, 256)
  return clean === '' ? undefined : clean
}

/** Whatever cannot be read is not said: a fact is worth no join. */
async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
