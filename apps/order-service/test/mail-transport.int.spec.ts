import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@twinbox/api-kit';
import { type Authority, createAuthority } from '@twinbox/tools/secure-servers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { type MailServer, MailTransport } from '../src/adapters/notifications/mail-transport.js';
import { OrderServiceConfig } from '../src/config.js';

const MAIL = { from: 'shop@shop.example', to: 'ada@customers.example', subject: 'Hello', text: 'Hello.' };

let directory: string;
let authority: Authority;
let ca: string;
let tls: { readonly cert: string; readonly key: string };
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mail-'));
  authority = await createAuthority(directory);
  ca = await readFile(authority.caFile, 'utf8');
  const { certFile, keyFile } = await authority.issue({ name: 'mail', hosts: 'IP:127.0.0.1' });
  tls = { cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') };
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => rm(directory, { recursive: true }));

/** Starts a real mail server, and returns its port and whether each mail that it got was encrypted. */
async function aMailServer(options: SMTPServerOptions = {}) {
  const encrypted: boolean[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onData: (stream, { secure }, done) => {
      encrypted.push(secure);
      stream.once('end', () => done()).resume();
    },
    ...options,
  });
  // A client that does not trust the certificate breaks the connection off.
  server.on('error', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  closing.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { host: `127.0.0.1:${(server.server.address() as AddressInfo).port}`, encrypted };
}

function transportTo(server: MailServer): MailTransport {
  const transport = new MailTransport(server);
  closing.unshift(() => transport.close());
  return transport;
}

const requiring = (url: string) => transportTo({ url, requiresTls: true, ca });

it.each([
  ['STARTTLS', 'smtp:', {}],
  ['TLS from the start', 'smtps:', { secure: true }],
])('P10 sends over %s to a server whose authority is configured', async (_, protocol, options) => {
  const { host, encrypted } = await aMailServer({ ...tls, ...options });

  await requiring(`${protocol}//${host}`).send(MAIL);

  expect(encrypted).toEqual([true]);
});

it('P10 sends nothing to a server that offers no STARTTLS if TLS is required', async () => {
  const { host, encrypted } = await aMailServer({ disabledCommands: ['STARTTLS'] });

  await expect(requiring(`smtp://ada:s3cret@${host}`).send(MAIL)).rejects.toThrow(
    'the mail server offers no STARTTLS, which SMTP_TLS=required needs',
  );
  expect(encrypted).toEqual([]);

  await transportTo({ url: `smtp://${host}`, requiresTls: false, ca: undefined }).send(MAIL);
  expect(encrypted).toEqual([false]);
});

it.each([true, false])(
  'P10 sends nothing to a server that cannot prove its name: TLS required %s',
  async (requiresTls) => {
    const { host, encrypted } = await aMailServer(tls);

    const transport = transportTo({ url: `smtp://${host}`, requiresTls, ca: undefined });

    await expect(transport.send(MAIL)).rejects.toThrow(/unable to verify|self-signed|local issuer/);
    expect(encrypted).toEqual([]);
  },
);

describe('a password in a file', () => {
  let password: string;
  const logins: string[] = [];
  const server = () =>
    aMailServer({
      ...tls,
      authOptional: false,
      onAuth: ({ password: given }, _, done) => {
        logins.push(given ?? '');
        done(given === password ? undefined : Object.assign(new Error('no'), { responseCode: 535 }), { user: 'ada' });
      },
    });
  beforeEach(() => {
    password = 'first';
    logins.length = 0;
  });

  it('P10 is read again when the server refuses the one in use', async () => {
    const { host, encrypted } = await server();
    let inFile = 'first';
    const transport = transportTo({ url: () => `smtp://ada:${inFile}@${host}`, requiresTls: true, ca: () => ca });
    await transport.send(MAIL);

    [password, inFile] = ['second', 'second'];
    transport.close();
    await Promise.all([transport.send(MAIL), transport.send(MAIL)]);

    expect(encrypted).toEqual([true, true, true]);
    expect(new Set(logins)).toEqual(new Set(['first', 'second']));
  });

  it('P10 is tried only once a mail while the file has not changed', async () => {
    const { host, encrypted } = await server();
    const transport = transportTo({ url: () => `smtp://ada:wrong@${host}`, requiresTls: true, ca });

    const failure = transport.send(MAIL);

    await expect(failure).rejects.toThrow(/535/);
    await expect(failure).rejects.not.toThrow(/wrong/);
    expect(logins).toEqual(['wrong']);
    expect(encrypted).toEqual([]);
  });
});

describe('the configuration', () => {
  const needed = { DATABASE_URL: 'postgres://orders@db/twinbox', KAFKA_BROKERS: 'kafka:9092' };
  const load = (env: Record<string, string>) => loadConfig(OrderServiceConfig, { ...needed, ...env });
  const production = {
    NODE_ENV: 'production',
    AUTH_MODE: 'jwt',
    OIDC_ISSUER: 'https://login.example',
    JWT_AUDIENCE: 'shop',
    NOTIFIER: 'smtp',
    SMTP_URL: 'smtp://mail.example',
  };

  it('P10 requires TLS in production', () => {
    expect(() => load(production)).toThrow('SMTP_TLS="optional": it must not be optional');
    expect(load({ ...production, SMTP_TLS: 'required' }).SMTP_TLS).toBe('required');
  });

  it('P10 rejects parameters of the address, which could switch off TLS, and invalid certificates', () => {
    expect(() => load({ SMTP_URL: 'smtp://mail.example?tls.rejectUnauthorized=false' })).toThrow(
      'must have no parameters',
    );
    expect(() => load({ SMTP_TLS_CA: 'none' })).toThrow(
      'SMTP_TLS_CA="(not shown)": it must be certificates in PEM format',
    );
    expect(load({ SMTP_TLS_CA: ca }).SMTP_TLS_CA).toBe(ca.trim());
  });
});
