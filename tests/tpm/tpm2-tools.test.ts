import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { type RunningSwtpm, startSwtpm } from '#simulators'
import { decodeAttest, decodePublic, makeCredential, nameOf, openTpm, toSpki, verifySignature } from '#tpm'
import { encodePem } from '#x509'
import { needs } from '../needs.js'

/*
 * What we make, tpm2-tools take, and the other way round: an implementation that shares no line with ours.
 */

const options = needs('swtpm', 'swtpm_setup', 'tpm2_createek', 'tpm2_activatecredential', 'tpm2_checkquote')
const folder = mkdtempSync(join(tmpdir(), 'touchmark-'))
let swtpm: RunningSwtpm | undefined

before(async () => {
  if (!options.skip) swtpm = await startSwtpm({ folder: join(folder, 'tpm') })
})

after(async () => {
  await swtpm?.stop()
  rmSync(folder, { recursive: true })
})

for (const algorithm of ['rsa', 'ecc']) {
  test(`tpm2_activatecredential opens our credential for an EK of type ${algorithm}`, options, () => {
    const files = filesNamed(algorithm)
    run('tpm2_createek', '-Q', '-G', algorithm, '-c', files.ek, '-u', files.ekPublic)
    run(
      'tpm2_createak',
      '-Q',
      '-C',
      files.ek,
      '-G',
      'ecc',
      '-g',
      'sha256',
      '-s',
      'ecdsa',
      '-c',
      files.ak,
      '-u',
      files.akPublic,
    )
    run('tpm2_flushcontext', '-t')
    const akName = nameOf(readPublic(files.akPublic))
    const secret = randomBytes(32)
    const { credentialBlob, encryptedSecret } = makeCredential({ ekPublic: readPublic(files.ekPublic) }, akName, secret)
    // tpm2_makecredential's own file: magic, version, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET
    const header = Buffer.from('badcc0de00000001', 'hex')
    writeFileSync(files.credential, Buffer.concat([header, sized(credentialBlob), sized(encryptedSecret)]))
    run('tpm2_startauthsession', '--policy-session', '-S', files.session)
    run('tpm2_policysecret', '-Q', '-S', files.session, '-c', 'e')
    const use = [
      '-c',
      files.ak,
      '-C',
      files.ek,
      '-i',
      files.credential,
      '-o',
      files.secret,
      '-P',
      `session:${files.session}`,
    ]
    run('tpm2_activatecredential', '-Q', ...use)
    run('tpm2_flushcontext', files.session)
    run('tpm2_flushcontext', '-t')
    assert.deepEqual(readFileSync(files.secret), secret)
  })
}

test('a quote by tpm2_quote is read and verified by us', options, () => {
  const files = filesNamed('quoting')
  run('tpm2_createek', '-Q', '-G', 'rsa', '-c', files.ek, '-u', files.ekPublic)
  for (const [scheme, type] of [
    ['ecdsa', 'ecc'],
    ['rsassa', 'rsa'],
    ['rsapss', 'rsa'],
  ] as const) {
    run(
      'tpm2_createak',
      '-Q',
      '-C',
      files.ek,
      '-G',
      type,
      '-g',
      'sha256',
      '-s',
      scheme,
      '-c',
      files.ak,
      '-u',
      files.akPublic,
    )
    run('tpm2_flushcontext', '-t')
    const out = ['--scheme', scheme, '-m', files.attest, '-s', files.signature, '-q', 'c0ffee']
    run('tpm2_quote', '-Q', '-c', files.ak, '-l', 'sha256:0,1,16', ...out)
    run('tpm2_flushcontext', '-t')
    const attest = readFileSync(files.attest)
    verifySignature(readPublic(files.akPublic), attest, readFileSync(files.signature))
    const decoded = decodeAttest(attest)
    assert.equal(decoded.type, 'quote')
    assert.deepEqual(decoded.pcrSelections, [{ hash: 'sha256', pcrs: [0, 1, 16] }])
    assert.equal(Buffer.from(decoded.extraData).toString('hex'), 'c0ffee')
  }
})

test('a quote by us is verified by tpm2_checkquote', options, async () => {
  assert.ok(swtpm)
  const files = filesNamed('checking')
  const tpm = await openTpm(swtpm.spec)
  const ak = await tpm.attestationKey()
  const { attest, signature } = await tpm.quote(ak, Buffer.from('c0ffee', 'hex'), [0, 7])
  await tpm.close()
  writeFileSync(files.akPublic, encodePem('PUBLIC KEY', toSpki(decodePublic(ak.public))))
  writeFileSync(files.attest, attest)
  writeFileSync(files.signature, signature)
  run(
    'tpm2_checkquote',
    '-Q',
    '-u',
    files.akPublic,
    '-m',
    files.attest,
    '-s',
    files.signature,
    '-g',
    'sha256',
    '-q',
    'c0ffee',
  )
})

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, {
    env: { ...process.env, TPM2TOOLS_TCTI: swtpm?.tcti },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
}

function filesNamed(name: string) {
  const at = (kind: string): string => join(folder, `${name}.${kind}`)
  return {
    ek: at('ek'),
    ekPublic: at('ek.pub'),
    ak: at('ak'),
    akPublic: at('ak.pub'),
    credential: at('credential'),
    session: at('session'),
    secret: at('secret'),
    attest: at('attest'),
    signature: at('signature'),
  }
}

/** tpm2-tools write TPM2B_PUBLIC: the size, then the TPMT_PUBLIC. */
function readPublic(file: string) {
  return decodePublic(readFileSync(file).subarray(2))
}

function sized(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes])
}
