import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** A certificate and its key, each in a PEM file. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** The common name. PostgreSQL takes it for the name of the role. */
  readonly name: string;
  /** What the certificate is valid for, in the format of OpenSSL: `DNS:db.test,IP:127.0.0.1`. A client needs none. */
  readonly hosts?: string;
  /** How long it is valid. Negative for an expired certificate. Default 2. */
  readonly days?: number;
}

/** A certificate authority for tests. */
export interface Authority {
  /** The PEM file of its own certificate. */
  readonly caFile: string;
  issue(options: CertificateOptions): Promise<Certificate>;
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Creates a certificate authority in an existing directory, with the command `openssl`. */
export async function createAuthority(directory: string, name = 'test CA'): Promise<Authority> {
  const openssl = (...args: string[]) => exec('openssl', args, { cwd: directory });
  const [caFile, caKey] = [join(directory, 'ca.pem'), join(directory, 'ca.key')];
  await openssl('req', '-x509', ...EC_KEY, '-keyout', caKey, '-out', caFile, '-subj', `/CN=${name}`, '-days', '2');
  let issued = 0;
  return {
    caFile,
    async issue({ name: commonName, hosts, days = 2 }) {
      const base = join(directory, `${++issued}`);
      const [certFile, keyFile, request] = [`${base}.pem`, `${base}.key`, `${base}.csr`];
      await openssl('req', '-new', ...EC_KEY, '-keyout', keyFile, '-out', request, '-subj', `/CN=${commonName}`);
      const extensions = `${base}.ext`;
      await writeFile(extensions, hosts === undefined ? 'basicConstraints=CA:FALSE\n' : `subjectAltName=${hosts}\n`);
      const signed = ['-CA', caFile, '-CAkey', caKey, '-set_serial', String(issued), '-extfile', extensions];
      await openssl('x509', '-req', '-in', request, ...signed, '-days', String(days), '-out', certFile);
      return { certFile, keyFile };
    },
  };
}

/** Writes a certificate and its key into one file, as Kafka expects them. */
export async function writeKeyStore({ certFile, keyFile }: Certificate, file: string): Promise<void> {
  await writeFile(file, (await readFile(keyFile, 'utf8')) + (await readFile(certFile, 'utf8')));
}
