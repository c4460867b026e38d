import assert from 'node:assert/strict'
import { createPublicKey, sign, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { connect } from 'node:tls'
import type { ApprovalView } from '#protocol'
import { createKeyPair, decodePem, spkiHash, spkiOf } from '#x509'
import { loadAddon } from '../../device-agent/tpm-key-addon.js'
import { emptyStage, runForeign, searchAudit, temporaryFolder } from '../journeys/world.js'
import { needs } from '../needs.js'

/* A maker and its machines, made by openssl, that join with curl. */

/** IEEE 802.1AR: no end, the serial number in the subject and as hardwareModuleName. */
const makeMachines = `
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout maker.key -out maker.pem \\
  -subj '/O=ACME/CN=ACME device CA' -days 3650 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2> /dev/null
printf '%s\\n' '[ca]' 'default_ca=acme' '[acme]' 'database=index' 'serial=serial' 'new_certs_dir=.' 'policy=any' \\
  'default_md=sha256' 'x509_extensions=idevid' '[any]' 'serialNumber=supplied' '[idevid]' \\
  'basicConstraints=CA:FALSE' 'keyUsage=critical,digitalSignature' \\
  'subjectAltName=otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:module' '[module]' 'type=OID:1.3.6.1.4.1.99999.1' \\
  'serial=FORMAT:HEX,OCT:343731312d30303432' > ca.cnf
: > index; echo 01 > serial
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout idevid.key -subj /serialNumber=4711-0042 -out idevid.csr 2> /dev/null
openssl ca -batch -notext -config ca.cnf -cert maker.pem -keyfile maker.key -startdate 20200101000000Z \\
  -enddate 99991231235959Z -in idevid.csr -out idevid.pem 2> /dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device.key -subj /CN=ignored -outform DER 2> /dev/null | base64 -w 0 > device.csr
`
const enroll = `curl -sS --cacert ca.crt --cert idevid.pem --key idevid.key -H 'content-type: application/pkcs10' \\
  -D head --data-binary @device.csr -o answer https://localhost:$PORT/.well-known/est/default/simpleenroll; head -1 head`

test(
  'a machine with a certificate of its maker waits over EST, is approved, and joins with curl and openssl alone',
  needs('curl', 'openssl'),
  async (t) => {
    const { stage, folder, sh, idevid } = await openWorld(t)
    assert.match(await sh(enroll), /^HTTP\/1.1 202/)
    assert.match(readFileSync(join(folder, 'head'), 'utf8'), /^retry-after: 60/im)
    const [waiting] = await stage.ask<readonly ApprovalView[]>('approvals', 'ls')
    const key = spkiHash(idevid.publicKey.export({ format: 'der', type: 'spki' }))
    assert.deepEqual([waiting?.hash, waiting?.maker, waiting?.hardwareSerial], [key, 'ACME', '4711-0042'])
    await stage.operator('approvals', 'approve', key, '--device', 'pump-7', '--reason', 'delivery 4711')

    assert.match(await sh(enroll), /^HTTP\/1.1 200/)
    const own = await sh('base64 -d answer | openssl pkcs7 -inform DER -print_certs')
    const [certificate = assert.fail()] = decodePem(own, 'CERTIFICATE')
    assert.equal(new X509Certificate(certificate).subject, 'CN=pump-7')
    const made = createPublicKey(readFileSync(join(folder, 'device.key')))
    assert.equal(spkiHash(spkiOf(new X509Certificate(certificate).publicKey)), spkiHash(spkiOf(made)))
    const [joined] = await searchAudit(stage, '--event', 'device.enroll')
    assert.deepEqual([joined?.device, joined?.tier, joined?.anchorHash], ['pump-7', 'idevid', key])
  },
)

test('a machine is registered by the serial number that its maker gave it', needs('curl', 'openssl'), async (t) => {
  const { stage, sh } = await openWorld(t)
  await stage.operator('devices', 'register', 'pump-7', '--idevid-serial', 'ACME:4711-0042')
  assert.match(await sh(enroll), /^HTTP\/1.1 200/)
  const wrong = await stage.tryOperator('devices', 'register', 'pump-8', '--idevid-serial', 'no-maker')
  assert.equal(wrong.exitCode, 2)
  assert.equal((await stage.tryOperator('devices', 'register', 'pump-8')).exitCode, 2)
})

test(
  'who shows a maker’s certificate without its key does not come through the handshake',
  needs('openssl'),
  async (t) => {
    const { stage, folder, idevid } = await openWorld(t)
    const key = { privateKeyEngine: 'touchmark', privateKeyIdentifier: 'somebody-elses' }
    const point = spkiOf(idevid.publicKey).slice(-65)
    const { privateKey } = createKeyPair('P-256')
    // Another key signs what only the machine's can: TLS 1.3 has its server check that (RFC 8446 §4.4.3).
    loadAddon().addon.register(key.privateKeyIdentifier, Buffer.from(point), (digest) =>
      sign('sha256', digest, privateKey),
    )
    const socket = connect({
      ...{ host: '127.0.0.1', servername: 'localhost', port: stage.ports.https, ...key },
      cert: readFileSync(join(folder, 'idevid.pem')),
      ca: readFileSync(join(folder, 'ca.crt')),
    })
    t.after(() => socket.destroy())
    socket.write('GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const [error] = (await once(socket, 'error')) as [Error & { code?: string }]
    assert.match(error.code ?? '', /DECRYPT_ERROR|ECONNRESET|EPIPE/)
  },
)

/** ACME, a machine of it, and a service that trusts it. */
async function openWorld(t: TestContext) {
  const stage = emptyStage(t)
  const folder = temporaryFolder(t)
  const sh = async (lines: string, port = '') => {
    const env = { ...process.env, PORT: port === '' ? String(stage.ports.https) : port }
    const { exitCode, stdout, stderr } = await runForeign('sh', ['-eu', '-c', lines], { cwd: folder, env })
    assert.equal(exitCode, 0, stderr + stdout)
    return stdout
  }
  await sh(makeMachines, '0')
  mkdirSync(stage.serverData, { recursive: true })
  const config = {
    idevidMakers: { ACME: [join(folder, 'maker.pem')] },
    profiles: { default: { unknown: 'approve', idevidMakers: ['ACME'] } },
  }
  writeFileSync(join(stage.serverData, 'touchmark.yaml'), JSON.stringify(config))
  await stage.openService()
  writeFileSync(join(folder, 'ca.crt'), readFileSync(join(stage.serverData, 'operator', 'ca.crt')))
  return { stage, folder, sh, idevid: new X509Certificate(readFileSync(join(folder, 'idevid.pem'))) }
}
