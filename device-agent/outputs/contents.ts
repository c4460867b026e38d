import { createPrivateKey, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { decodePem, encodePkcs12 } from '#x509'
import { AgentError } from '../errors.js'
import { readSecretFile } from '../first-boot/secret-file.js'
import type { IssuedGeneration } from '../generation.js'
import { mosquittoBridge } from './mosquitto.js'
import type { Output } from './output.js'
import { pahoModule } from './paho.js'
import type { OutputFile } from './place-files.js'

const secret = 0o600
const open = 0o644

/** The files of one output. @throws AgentError OUTPUT_FAILED, KEY_UNAVAILABLE when it takes a key that is in a TPM */
export async function filesOf(output: Output, generation: IssuedGeneration): Promise<readonly OutputFile[]> {
  const { certificateChain, trustBundle } = generation
  switch (output.kind) {
    case 'pem': {
      const at = (name: string): string => join(output.folder, name)
      const key = output.withoutKey ? undefined : keyOf(generation, output)
      return [
        ...(key === undefined ? [] : [{ path: at('key.pem'), content: key, mode: output.mode ?? secret }]),
        { path: at('cert.pem'), content: certificateChain, mode: open },
        { path: at('ca.pem'), content: trustBundle, mode: open },
      ]
    }
    case 'pkcs12': {
      const privateKey = createPrivateKey(keyOf(generation, output)).export({ format: 'der', type: 'pkcs8' })
      const password = (await readSecretFile(output.passwordFile))?.text
      if (!password)
        throw new AgentError('OUTPUT_FAILED', `${output.passwordFile} holds no password for ${output.file}`)
      const certificates = decodePem(certificateChain, 'CERTIFICATE')
      const content = encodePkcs12({ privateKey, certificates, name: generation.facts.deviceId, password }, randomBytes)
      return [{ path: output.file, content, mode: output.mode ?? secret }]
    }
    case 'mosquitto':
      requireKeyFile(generation, output)
      return [{ path: output.file, content: mosquittoBridge(generation.facts, output), mode: open }]
    case 'paho':
      requireKeyFile(generation, output)
      return [{ path: output.file, content: pahoModule(generation.facts, output), mode: open }]
  }
}

/** PEM, PKCS #8. */
function keyOf({ key }: IssuedGeneration, output: Output): string {
  if (key.kind === 'software') return key.pem
  throw new AgentError(
    'KEY_UNAVAILABLE',
    `the ${output.kind} output needs the private key, which is in the TPM and cannot leave it; let programs connect ` +
      'through the agent, or join with a token where a key in a file is allowed',
  )
}

function requireKeyFile(generation: IssuedGeneration, output: Output): void {
  keyOf(generation, output)
}
