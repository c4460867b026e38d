import { createHash } from 'node:crypto'
import { encodeAttest, encodePublic, encodeSignature, nameOf, type TpmPublic } from '#tpm'
import { activateCredential, certify, pcrRead, quote, sign } from '../../tpm/commands/attestation.js'
import { emptyPassword } from '../../tpm/commands/authorization.js'
import { readHandles, readProperties } from '../../tpm/commands/capabilities.js'
import { nvRead, nvReadPublic } from '../../tpm/commands/nv.js'
import {
  contextLoad,
  contextSave,
  create,
  createPrimary,
  flushContext,
  load,
  readPublic,
} from '../../tpm/commands/objects.js'
import { policySecret, startAuthSession } from '../../tpm/commands/sessions.js'
import { TpmWriter } from '../../tpm/structures/codec.js'
import { encodePcrSelections } from '../../tpm/structures/pcrs.js'
import type { Transport } from '../../tpm/transport/transport.js'
import { certifySample, eccSample, quoteSample } from './samples.js'

/** One command with a response that it takes. */
export interface Answered {
  readonly name: string
  readonly response: Uint8Array
  readonly ask: (transport: Transport) => Promise<unknown>
}

const { area } = eccSample('P-256')
const key = { handle: 0x80000001, name: nameOf(area) }
const session = { handle: 0x03000000 }
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7)
const write = (): TpmWriter => new TpmWriter()
const signature = encodeSignature({ scheme: 'ecdsa', hash: 'sha256', r: bytes(32), s: bytes(32) })
const credential = { credentialBlob: bytes(68), encryptedSecret: bytes(68) }
const stored = { public: encodePublic(area), private: bytes(126) }
const pcrSelection = encodePcrSelections([{ hash: 'sha256', pcrs: [0, 7] }])

/** Every command that is spoken here, with a password where it takes an authorization: nothing guards what follows. */
export const answered: readonly Answered[] = [
  {
    name: 'CreatePrimary',
    response: authorized(write().sized(encodePublic(area)).bytes(creation(area)).sized(key.name), {
      handle: key.handle,
    }),
    ask: (tpm) => createPrimary(tpm, 'endorsement', area),
  },
  {
    name: 'Create',
    response: authorized(write().sized(stored.private).sized(stored.public).bytes(creation(area))),
    ask: (tpm) => create(tpm, key, area, emptyPassword),
  },
  {
    name: 'Load',
    response: authorized(write().sized(key.name), { handle: key.handle }),
    ask: (tpm) => load(tpm, key, stored, emptyPassword),
  },
  {
    name: 'ReadPublic',
    response: bare(write().sized(stored.public).sized(key.name).sized(bytes(34))),
    ask: (tpm) => readPublic(tpm, key.handle),
  },
  { name: 'FlushContext', response: bare(write()), ask: (tpm) => flushContext(tpm, key.handle) },
  {
    name: 'ContextSave',
    response: bare(write().uint64(5n).uint32(key.handle).uint32(0x4000000b).sized(bytes(400))),
    ask: (tpm) => contextSave(tpm, key.handle),
  },
  { name: 'ContextLoad', response: bare(write().uint32(key.handle)), ask: (tpm) => contextLoad(tpm, bytes(20)) },
  {
    name: 'Sign',
    response: authorized(write().bytes(signature)),
    ask: (tpm) => sign(tpm, key, bytes(32), emptyPassword),
  },
  {
    name: 'Certify',
    response: authorized(write().sized(encodeAttest(certifySample)).bytes(signature), { passwords: 2 }),
    ask: (tpm) => certify(tpm, key, key, bytes(32), emptyPassword),
  },
  {
    name: 'Quote',
    response: authorized(write().sized(encodeAttest(quoteSample)).bytes(signature)),
    ask: (tpm) => quote(tpm, key, bytes(32), [0, 7], emptyPassword),
  },
  {
    name: 'ActivateCredential',
    response: authorized(write().sized(bytes(32)), { passwords: 2 }),
    ask: (tpm) => activateCredential(tpm, key, key, credential, emptyPassword),
  },
  {
    name: 'PCR_Read',
    response: bare(write().uint32(9).bytes(pcrSelection).uint32(2).sized(bytes(32)).sized(bytes(32))),
    ask: (tpm) => pcrRead(tpm, [0, 7]),
  },
  {
    name: 'StartAuthSession',
    response: bare(write().uint32(session.handle).sized(bytes(32))),
    ask: (tpm) =>
      startAuthSession(tpm, { kind: 'policy', hash: 'sha256', key, encryptedSalt: bytes(68), nonceCaller: bytes(32) }),
  },
  {
    name: 'PolicySecret',
    response: authorized(write().sized(bytes(0)).uint16(0x8023).uint32(0x40000007).sized(bytes(0))),
    ask: (tpm) => policySecret(tpm, 'endorsement', session),
  },
  {
    name: 'GetCapability of handles',
    response: bare(write().uint8(0).uint32(1).uint32(2).uint32(0x01c00002).uint32(0x01c0000a)),
    ask: (tpm) => readHandles(tpm, 0x01c00000, 254),
  },
  {
    name: 'GetCapability of properties',
    response: bare(write().uint8(0).uint32(6).uint32(1).uint32(0x105).uint32(0x49424d00)),
    ask: (tpm) => readProperties(tpm, 0x100, 13),
  },
  {
    name: 'NV_ReadPublic',
    response: bare(
      write()
        .sized(write().uint32(0x01c00002).uint16(0x000b).uint32(0x62072001).sized(bytes(0)).uint16(900).encoded())
        .sized(bytes(34)),
    ),
    ask: (tpm) => nvReadPublic(tpm, 0x01c00002),
  },
  { name: 'NV_Read', response: authorized(write().sized(bytes(512))), ask: (tpm) => nvRead(tpm, 0x01c00002, 0, 512) },
]

/** Creation data, its hash, and a ticket. */
function creation(of: TpmPublic): Uint8Array {
  const data = write()
    .bytes(encodePcrSelections([]))
    .sized(bytes(32))
    .uint8(1)
    .uint16(0x000b)
    .sized(bytes(34))
    .sized(bytes(34))
    .sized(bytes(0))
    .encoded()
  const hash = createHash(of.nameAlg).update(data).digest()
  return write().sized(data).sized(hash).uint16(0x8021).uint32(0x4000000b).sized(bytes(32)).encoded()
}

function bare(parameters: TpmWriter): Uint8Array {
  return response(0x8001, parameters.encoded())
}

/** With the answers of so many passwords behind it. */
function authorized(
  parameters: TpmWriter,
  { handle, passwords = 1 }: { handle?: number; passwords?: number } = {},
): Uint8Array {
  const encoded = parameters.encoded()
  const answers = Buffer.concat(Array.from({ length: passwords }, () => Uint8Array.of(0, 0, 1, 0, 0)))
  const body = write()
  if (handle !== undefined) body.uint32(handle)
  return response(0x8002, body.uint32(encoded.length).bytes(encoded).bytes(answers).encoded())
}

function response(tag: number, body: Uint8Array): Uint8Array {
  return write()
    .uint16(tag)
    .uint32(10 + body.length)
    .uint32(0)
    .bytes(body)
    .encoded()
}
