import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export type CertificateFiles = {
  /** The certificate of the private authority, PEM. */
  readonly caFile: string
  readonly certificateFile: string
  readonly keyFile: string
}

/** Makes an authority and a certificate of it for 127.0.0.1, localhost, registry.test and blobs.test, as files in `directory`. */
export async function makeCertificate(directory: string, name: string): Promise<CertificateFiles> {
  const file = (suffix: string) => join(directory, `${name}${suffix}`)
  const [caFile, caKeyFile] = [file('-ca.pem'), file('-ca-key.pem')]
  const [certificateFile, keyFile, requestFile] = [file('.pem'), file('-key.pem'), file('.csr')]
  await openssl(
    'req',
    '-x509',
    ...newKey(caKeyFile),
    '-subj',
    `/CN=${name} authority`,
    '-days',
    '2',
    '-out',
    caFile,
  )

  await openssl('req', '-new', ...newKey(keyFile), '-subj', '/CN=registry', '-out', requestFile)
  const extensionFile = file('.ext')
  writeFileSync(
    extensionFile,
    'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test,DNS:blobs.test\nextendedKeyUsage=serverAuth\n',
  )
  const authority = ['-CA', caFile, '-CAkey', caKeyFile, '-set_serial', '2']
  await openssl(
    'x509',
    '-req',
    '-in',
    requestFile,
    ...authority,
    '-days',
    '2',
    '-extfile',
    extensionFile,
    '-out',
    certificateFile,
  )
  return { caFile, certificateFile, keyFile }
}

/** A certificate that signs itself, for what trusts exactly that one. */
export async function makeSelfSigned(
  directory: string,
  name: string,
): Promise<Omit<CertificateFiles, 'caFile'>> {
  const certificateFile = join(directory, `${name}.pem`)
  const keyFile = join(directory, `${name}-key.pem`)
  await openssl(
    'req',
    '-x509',
    ...newKey(keyFile),
    '-subj',
    `/CN=${name}`,
    '-days',
    '2',
    '-out',
    certificateFile,
  )
  return { certificateFile, keyFile }
}

function newKey(keyFile: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
}

async function openssl(...options: string[]): Promise<void> {
  await execute('openssl', options)
}
