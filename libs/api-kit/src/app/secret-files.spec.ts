import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { reveal } from '@twinbox/messaging/session-client';
import { ConfigError, loadConfig } from './load-config.js';
import { isSecret, readGiven, secretOf } from './secret-files.js';
import { ServiceConfig } from './service-config.js';

class ShopConfig extends ServiceConfig {
  override PORT = 8081;
}

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'secret-'));
  file = join(directory, 'url');
});
afterEach(() => rmSync(directory, { recursive: true }));

const given = (env: Record<string, string>) => ({ KAFKA_BROKERS: 'kafka:9092', ...env });
const url = (password: string) => `postgres://shop:${password}@db/shop`;

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(ShopConfig, given(env));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

it('P10 reads a secret from a file, without the newline at its end', () => {
  writeFileSync(file, `${url('s3cret')}\n`);

  const config = loadConfig(ShopConfig, given({ DATABASE_URL_FILE: file }));

  expect(config.DATABASE_URL).toBe(url('s3cret'));
});

it('P10 reads the file again for each use, and keeps the last value while it cannot be read', () => {
  writeFileSync(file, url('first'));
  const secret = secretOf(loadConfig(ShopConfig, given({ DATABASE_URL_FILE: file })), 'DATABASE_URL');

  writeFileSync(file, url('second'));
  expect(reveal(secret)).toBe(url('second'));
  writeFileSync(file, '');
  expect(reveal(secret)).toBe(url('second'));
  rmSync(file);
  expect(reveal(secret)).toBe(url('second'));
  writeFileSync(file, url('third'));
  expect(reveal(secret)).toBe(url('third'));
});

describe('a file that cannot be used any more', () => {
  const warnings = () => jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  afterEach(() => jest.restoreAllMocks());

  it('P10 is logged once, for all that use the variable, and again after it could be used', () => {
    const warn = warnings();
    writeFileSync(file, url('first'));
    const config = loadConfig(ShopConfig, given({ DATABASE_URL_FILE: file }));
    const [secret, same] = [secretOf(config, 'DATABASE_URL'), secretOf(config, 'DATABASE_URL')];

    rmSync(file);
    for (let n = 0; n < 3; n++) for (const each of [secret, same]) reveal(each);
    expect(warn.mock.calls).toEqual([
      [`DATABASE_URL_FILE="${file}": it cannot be read (ENOENT). The last value stays in use.`],
    ]);

    writeFileSync(file, url('second'));
    expect(reveal(same)).toBe(url('second'));
    rmSync(file);
    reveal(secret);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  it('P10 is one whose content the variable does not allow, which is never shown', () => {
    const warn = warnings();
    writeFileSync(file, url('first'));
    const secret = secretOf(loadConfig(ShopConfig, given({ DATABASE_URL_FILE: file })), 'DATABASE_URL');

    writeFileSync(file, 's3cret');

    expect(reveal(secret)).toBe(url('first'));
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining(`DATABASE_URL_FILE="${file}": it must be a URL such as`)],
    ]);
    expect(JSON.stringify(warn.mock.calls)).not.toContain('s3cret');
  });
});

it('returns the value of a variable that was set itself', () => {
  expect(secretOf(loadConfig(ShopConfig, given({ DATABASE_URL: url('fixed') })), 'DATABASE_URL')).toBe(url('fixed'));
});

it('P10 reports a file that cannot be used, and never shows what it contains', () => {
  expect(problemsOf({ DATABASE_URL_FILE: file })).toContain(`DATABASE_URL_FILE="${file}": it cannot be read (ENOENT).`);
  writeFileSync(file, ' \n');
  expect(problemsOf({ DATABASE_URL_FILE: file })).toContain(`DATABASE_URL_FILE="${file}": it is empty.`);
  writeFileSync(file, 's3cret');
  expect(problemsOf({ DATABASE_URL_FILE: file }).join('\n')).not.toContain('s3cret');
});

it('rejects a variable that is set in both ways', () => {
  writeFileSync(file, url('a'));

  expect(problemsOf({ DATABASE_URL: url('b'), DATABASE_URL_FILE: file })).toEqual([
    `DATABASE_URL_FILE="${file}": DATABASE_URL is set too. Unset one of them.`,
  ]);
});

it('reads files for secrets and certificates only', () => {
  const secrets = [
    'DATABASE_URL',
    'KAFKA_SASL_PASSWORD',
    'KAFKA_SSL_CA',
    'KAFKA_SSL_KEY',
    'WEBHOOK_SECRET',
    'API_TOKEN',
  ];

  expect(secrets.filter((name) => !isSecret(name))).toEqual([]);
  expect(['HOST', 'KAFKA_BROKERS', 'IDEMPOTENCY_KEY_TTL', 'KAFKA_SASL_USERNAME'].filter(isSecret)).toEqual([]);
  expect(readGiven(['HOST'], { HOST_FILE: file })).toMatchObject({ values: {}, problems: [] });
});

it.each(['require', 'prefer', 'allow', 'no-verify', 'verify-ca'])('P10 refuses sslmode=%s at start', (mode) => {
  expect(problemsOf({ DATABASE_URL: `${url('s3cret')}?sslmode=${mode}` })).toEqual([
    expect.stringMatching(new RegExp(`^DATABASE_URL: sslmode=${mode} .*Use sslmode=verify-full`)),
  ]);
});

it('P10 refuses a missing authority of the database at start', () => {
  expect(problemsOf({ DATABASE_URL: `${url('a')}?sslmode=verify-full&sslrootcert=${file}` })).toEqual([
    `DATABASE_URL: sslrootcert=${file} cannot be read (ENOENT).`,
  ]);
});
