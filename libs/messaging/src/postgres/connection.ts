import pg from 'pg';
import { type Secret } from '../secret.js';
import { endClient, SessionClient, withoutRefusal } from './session-client.js';

/** How long a statement may take before the connection counts as dead. Less than a lease, so that a lost connection is noticed in time. */
const STATEMENT_MS = 3000;

export interface ConnectionOptions {
  readonly databaseUrl: Secret;
  /** The name that pg_stat_activity shows. */
  readonly name: string;
}

/**
 * A dedicated connection, which runs single statements without session state, so that it works with a pooler in transaction mode.
 * Not reusable after an error other than an answer of the server; see {@link isAnswer}.
 */
export class Connection {
  private last: Promise<unknown> = Promise.resolve();
  private closed = false;

  private constructor(
    private readonly client: pg.Client,
    private readonly options: ConnectionOptions,
  ) {}

  /** Connects. `onNotice` receives the payloads of notifications, and `onLost` is called once if the connection breaks. */
  static async connect(
    options: ConnectionOptions,
    onNotice: (notice: string) => void,
    onLost: (error: Error) => void,
  ): Promise<Connection> {
    const client = await withoutRefusal(() => connected(options, onLost));
    client.on('notification', ({ payload }) => onNotice(payload ?? ''));
    return new Connection(client, options);
  }

  /** Runs statements one after another, because the lease is renewed while a batch is read or sent. */
  query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<pg.QueryResult<Row>> {
    return this.inTurn(() => this.client.query<Row>(text, values));
  }

  /** Like {@link query}, with each row as an array, which costs less than an object. */
  async queryArrays<Row extends unknown[]>(text: string, values: unknown[]): Promise<Row[]> {
    const { rows } = await this.inTurn(() => this.client.query<Row>({ text, values, rowMode: 'array' }));
    return rows;
  }

  private inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.last.then(async () => {
      if (this.closed) throw new Error('the connection was closed');
      try {
        return await run();
      } catch (error) {
        // The server would continue a statement that waits for a lock after we gave up on it. Reconnecting every second would then
        // leave behind one session each.
        if ((error as Error).message === 'Query read timeout') await cancelOnServer(this.client, this.options);
        throw error;
      }
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  /** Runs one statement on another connection, which is closed afterwards. */
  async queryElsewhere(text: string, values: unknown[]): Promise<void> {
    const client = newClient(this.options);
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query(text, values);
    } finally {
      await endClient(client);
    }
  }

  /** Never throws, and never waits for a server that does not answer. */
  async close(): Promise<void> {
    this.closed = true;
    await endClient(this.client);
  }
}

/** Whether the server answered with an error, so that the connection still works. If it ends afterwards, it reports that itself. */
export function isAnswer(error: unknown): boolean {
  return error instanceof pg.DatabaseError;
}

async function connected(options: ConnectionOptions, onLost: (error: Error) => void): Promise<pg.Client> {
  const client = newClient(options);
  // Set before connecting, because a connection that breaks early must not cause an uncaught 'error' event.
  client.on('error', () => undefined);
  try {
    await client.connect();
    client.on('error', onLost);
    return client;
  } catch (error) {
    await endClient(client);
    throw error;
  }
}

function newClient({ databaseUrl, name }: ConnectionOptions): pg.Client {
  return new SessionClient({
    url: databaseUrl,
    application_name: name,
    connectionTimeoutMillis: STATEMENT_MS,
    query_timeout: STATEMENT_MS,
    keepAlive: true,
  });
}

/** Sends PostgreSQL's cancel request over a connection of its own. It identifies the backend, and works through a pooler too. */
async function cancelOnServer(client: pg.Client, options: ConnectionOptions): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const messenger = newClient(options);
  const connection = innerConnection(messenger);
  const { host, port } = messenger;
  const cancel = () => connection.cancel(processID, secretKey);
  const cancelled = new Promise<void>((resolve) => {
    connection.on('sslconnect', cancel).on('connect', () => {
      if (!connection.ssl) cancel();
      else if (connection.sslNegotiation !== 'direct') connection.requestSsl();
    });
    connection.on('end', resolve).on('error', resolve);
    setTimeout(resolve, 500).unref();
  });
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
  else connection.connect(port, host);
  await cancelled;
  connection.stream.destroy();
}

interface InnerConnection {
  readonly ssl: unknown;
  readonly sslNegotiation: string;
  requestSsl(): void;
  readonly stream: { destroy(): void };
  connect(portOrPath: number | string, host?: string): void;
  cancel(processId: number, secretKey: number): void;
  on(event: string, listener: () => void): this;
}

/** pg has no public API to cancel a statement. */
function innerConnection(client: pg.Client): InnerConnection {
  return (client as unknown as { connection: InnerConnection }).connection;
}
