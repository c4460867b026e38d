import { join } from 'node:path'

/** Where things stand in a log's folder; `log/` is what a third party gets. */
export const layout = {
  checkpoint: (directory: string) => join(directory, 'log', 'checkpoint'),
  log: (directory: string) => join(directory, 'log'),
  wal: (directory: string) => join(directory, 'wal'),
}
