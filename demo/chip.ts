import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { existsSync } from 'node:fs'
import { createEkAuthority, openSoftwareTpm, startSwtpm } from '#simulators'
import type { ProgramName } from './programs.js'

/** The TPM of the demo's device. */
export interface Chip {
  readonly told: string
  /** For `--tpm`. */
  readonly spec: string
  /** The agent that can open it. */
  readonly agent: ProgramName
  /** PEM file with the authorities that vouch for its endorsement key; the service is told to trust them. */
  readonly ekRootFile: string
  stop(): Promise<void>
}

export type ChipKind = 'swtpm' | 'software'

/** swtpm where it is installed, which is the nearest to hardware that runs anywhere; else a TPM made of software. */
export function bestChip(): ChipKind {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const installed = (program: string): boolean => folders.some((folder) => existsSync(join(folder, program)))
  return installed('swtpm') && installed('swtpm_setup') ? 'swtpm' : 'software'
}

export function makeChip(kind: ChipKind, folder: string): Promise<Chip> {
  switch (kind) {
    case 'swtpm':
      return makeSwtpm(folder)
    case 'software':
      return makeSoftwareTpm(folder)
  }
}

async function makeSwtpm(folder: string): Promise<Chip> {
  const swtpm = await startSwtpm({ folder: join(folder, 'swtpm') })
  const ekRootFile = join(folder, 'ek-authorities.pem')
  await writeFile(ekRootFile, [...swtpm.ekRoots, ...swtpm.ekIntermediates].join('\n'))
  return {
    told: 'a TPM 2.0 (swtpm, a process of its own)',
    spec: swtpm.spec,
    agent: 'touchmark-agent',
    ekRootFile,
    stop: () => swtpm.stop(),
  }
}

/** The authority over its endorsement key is made here and now, and trusted by this demo's service alone. */
async function makeSoftwareTpm(folder: string): Promise<Chip> {
  const authorityFolder = join(folder, 'ek-authority')
  const tpmFolder = join(folder, 'software-tpm')
  await Promise.all([mkdir(authorityFolder), mkdir(tpmFolder)])
  const ekAuthority = await createEkAuthority({ folder: authorityFolder, now: Date.now })
  const tpm = await openSoftwareTpm({ folder: tpmFolder, ekAuthority, now: Date.now })
  await tpm.close()
  return {
    told: `a TPM made of software${bestChip() === 'swtpm' ? '' : ' (swtpm is more of a chip: apt-get install swtpm swtpm-tools)'}`,
    spec: `software:${tpmFolder}`,
    agent: 'simulated-agent',
    ekRootFile: ekAuthority.rootFile,
    stop: () => Promise.resolve(),
  }
}
