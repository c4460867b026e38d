// npm run agent:bundle [-- FOLDER]: makes the agent one file that needs Node and nothing else, in dist-bundle/ or FOLDER.
// Beside it lies what cannot be inside: the thread in which TLS uses a key of a TPM, and its addon where it was built.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const folder = process.argv[2] ?? 'dist-bundle'
const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

/** What a file says of where its neighbours are, which a bundle has elsewhere. A text that is gone is a mistake of ours. */
const elsewhere = {
  name: 'elsewhere',
  setup({ onLoad }) {
    onLoad({ filter: /dist\/bin\/version\.js$/ }, () => ({
      contents: `export const readVersion = () => ${JSON.stringify(version)}`,
    }))
    replaceIn(/dist\/device-agent\/tpm-key\.js$/, './tpm-tls-worker.js', './tpm-tls-worker.mjs')
    replaceIn(/dist\/device-agent\/tpm-key-addon\.js$/, '../../native/', './native/')

    function replaceIn(filter, before, after) {
      onLoad({ filter }, ({ path }) => {
        const text = readFileSync(path, 'utf8')
        if (!text.includes(before)) throw new Error(`${path} does not say ${before} any more`)
        return { contents: text.replaceAll(before, after) }
      })
    }
  },
}

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
await build({
  entryPoints: {
    'touchmark-agent': 'dist/bin/touchmark-agent.js',
    'tpm-tls-worker': 'dist/device-agent/tpm-tls-worker.js',
  },
  outdir: folder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  minify: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  legalComments: 'linked',
  // Some of what is inside was written for `require`.
  banner: {
    js: `import { createRequire as touchmarkRequire } from 'node:module';const require=touchmarkRequire(import.meta.url);`,
  },
  plugins: [elsewhere],
  logLevel: 'warning',
})
for (const built of ['prebuilds', 'build/Release']) {
  const addons = join('native', built)
  if (existsSync(addons)) cpSync(addons, join(folder, 'native', built), { recursive: true })
}
const { size } = statSync(join(folder, 'touchmark-agent.mjs'))
process.stdout.write(`${join(folder, 'touchmark-agent.mjs')} ${size} bytes\n`)
