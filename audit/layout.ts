import { resolve } from 'node:path'

/** Where things stand in a log's folder; `log/` is what a third party gets. */
export const layout = {
  checkpoint: (directory: string) => resolve(directory, 'log', 'checkpoint'),
  minimum: (directory: string) => resolve(directory, 'log', 'minimum'),
  log: (directory: string) => resolve(directory, 'log'),
  /** What witnesses have cosigned, one file each. */
  witnessed: (directory: string) => resolve(directory, 'log', 'witnessed'),
  index: (directory: string) => resolve(directory, 'idx'),
  wal: (directory: string) => resolve(directory, 'wal'),
}
