import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { SessionClient, withoutRefusal } from '../session-client.js';

/** A database of a test's own, on the server that the test runner started. */
export interface TestDatabase {
  /** As the server's superuser. */
  readonly url: string;
  /** The same, past the pooler that the tests may run behind: for what needs a session of its own. */
  readonly directUrl: string;
  /** The same database as another role. */
  urlFor(role: string, password: string): string;
  /** Runs SQL as the superuser and returns the rows. */
  sql<Row extends object = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Ends every connection to it and deletes it. */
  drop(): Promise<void>;
}

/** The variable in which the test runner passes a superuser's URL. */
export function testServerUrl(): string {
  return fromRunner('TEST_DATABASE_URL');
}

/** The variable in which the test runner passes Kafka's bootstrap servers. */
export function testBrokers(): string[] {
  return fromRunner('TEST_KAFKA_BROKERS').split(',');
}

function fromRunner(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run the tests with npm test`);
  return value;
}

/** `template` is what it is a copy of, with further options of CREATE DATABASE: `template0 locale_provider libc locale 'C'`. */
export async function createDatabase(serverUrl: string, template?: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, `create database ${name}${template === undefined ? '' : ` template ${template}`}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const pooled = serverUrl === process.env['TEST_DATABASE_URL'];
  const direct = new URL((pooled && process.env['TEST_DIRECT_DATABASE_URL']) || serverUrl);
  direct.pathname = url.pathname;
  // What a test sets for its database is for the code under test.
  const pool = new pg.Pool({ connectionString: url.href, max: 2, Client: SessionClient });
  pool.on('error', () => undefined);
  return {
    url: url.href,
    directUrl: direct.href,
    urlFor(role, password) {
      // A pooler knows the server's superuser only.
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
