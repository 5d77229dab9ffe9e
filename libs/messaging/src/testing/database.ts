import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { SessionClient, withoutRefusal } from '../postgres/session-client.js';

/** A database for one test file, on the server that the test runner started. */
export interface TestDatabase {
  /** A URL that connects as the server's superuser. */
  readonly url: string;
  /** The same, bypassing the pooler that the tests may run behind, for tests that need a session of their own. */
  readonly directUrl: string;
  /** Returns a URL that connects to the database as another role. */
  urlFor(role: string, password: string): string;
  /** Runs SQL as the superuser and returns its rows. */
  sql<Row extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Ends all connections to the database and deletes it. */
  drop(): Promise<void>;
}

/** Returns the superuser's URL that the test runner passes in `TEST_DATABASE_URL`. */
export function testServerUrl(): string {
  return fromRunner('TEST_DATABASE_URL');
}

/** Returns the Kafka bootstrap servers that the test runner passes in `TEST_KAFKA_BROKERS`. */
export function testBrokers(): string[] {
  return fromRunner('TEST_KAFKA_BROKERS').split(',');
}

function fromRunner(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run the tests with npm test`);
  return value;
}

/**
 * Creates a database with a random name. `template` is the database to copy, and may be followed by further options of
 * CREATE DATABASE: `template0 locale_provider libc locale 'C'`.
 */
export async function createDatabase(serverUrl: string, template?: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, `create database ${name}${template === undefined ? '' : ` template ${template}`}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pooled = serverUrl === process.env['TEST_DATABASE_URL'];
  const direct = new URL((pooled && process.env['TEST_DIRECT_DATABASE_URL']) || serverUrl);
  direct.pathname = url.pathname;
  // SessionClient, because the settings that a test makes for its database are meant for the code under test only.
  const pool = new pg.Pool({ connectionString: url.href, max: 2, Client: SessionClient });
  pool.on('error', () => undefined);
  return {
    url: url.href,
    directUrl: direct.href,
    urlFor(role, password) {
      // The pooler knows only the server's superuser.
      const other = new URL(direct);
      other.username = role;
      other.password = password;
      return other.href;
    },
    async sql<Row extends object>(text: string, values: unknown[] = []) {
      return (await withoutRefusal(() => pool.query<Row>(text, values))).rows;
    },
    async drop() {
      await pool.end();
      await onServer(serverUrl, `drop database ${name} with (force)`);
    },
  };
}

async function onServer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
