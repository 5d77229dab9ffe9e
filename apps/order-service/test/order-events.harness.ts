import { createApp, loadConfig } from '@twinbox/api-kit';
import { type TestDatabase, testServerUrl } from '@twinbox/messaging/testing';
import {
  caller,
  createServiceDatabase,
  createServiceTopics,
  EventClient,
  PASSWORDS,
  recordAnswers,
} from '@twinbox/test-support';
import { ON_A_BUSY_MACHINE } from '@twinbox/tools';
import pg from 'pg';
import { orderService } from '../src/service.js';

/** Creates a database on which the test can start several replicas of order-service, with these variables. */
export async function startWorld(variables: Readonly<Record<string, string>> = {}) {
  const [database, topics] = await Promise.all([createServiceDatabase(), createServiceTopics()]);
  await database.sql(`update orders.relay_lease set holder = gen_random_uuid(), expires_at = 'infinity'`);
  await database.sql('update orders.products set available = 1000000');
  const env = {
    ...topics.env(orderService.name),
    DATABASE_URL: database.urlFor('orders', PASSWORDS.orders),
    LOG_LEVEL: 'fatal',
    LOG_FORMAT: 'json',
    GRPC_PORT: 'off',
    // The test's clients run in the same process as the replicas, which appear overloaded while the clients parse a backlog.
    ...ON_A_BUSY_MACHINE,
    ...variables,
  };
  const replicas = new Replicas(env);
  return {
    database,
    startReplica: () => replicas.start(),

    /** Returns for each feed connection of the replicas how many seconds it has been idle. */
    async feeds(): Promise<number[]> {
      const rows = await database.sql<{ idle: number }>(
        `select extract(epoch from clock_timestamp() - query_start)::float as idle
           from pg_stat_activity
          where datname = current_database() and application_name = 'order-service feed'`,
      );
      return rows.map(({ idle }) => idle);
    },

    /** Disconnects all clients. */
    clear: () => replicas.disconnectClients(),

    /** Cuts the replicas off from the database until the returned function is called. */
    cutOff: () => cutOff(database),

    /** Opens a connection on which the test controls the transactions. */
    openWriter: () => openWriter(database),

    async stop(): Promise<void> {
      await replicas.stop();
      await database.drop();
    },
  };
}

class Replicas {
  private readonly running = new Set<Replica>();
  private readonly clients = new Set<EventClient>();

  constructor(private readonly env: Readonly<Record<string, string>>) {}

  async start(): Promise<Replica> {
    const config = loadConfig(orderService.configClass, { GRPC_PORT: 'off', ...this.env });
    const app = await createApp(orderService.module(config), config, orderService.openApi);
    await orderService.configure(app);
    const { undocumented } = recordAnswers(app, orderService.openApi);
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const replica: Replica = {
      app,
      url,
      as: (userId, roles = 'customer') => replica.with({ 'x-user-id': userId, 'x-roles': roles }),
      with: (headers) => this.clientOf(url, headers),
      stop: async () => {
        this.running.delete(replica);
        await app.close();
        expect(undocumented()).toEqual([]);
      },
    };
    this.running.add(replica);
    return replica;
  }

  private clientOf(url: string, headers: Record<string, string>): Client {
    return {
      ...caller(url, headers),
      follow: async (path, lastEventId) => {
        const client = await EventClient.open(url + path, headers, lastEventId);
        this.clients.add(client);
        return client;
      },
    };
  }

  disconnectClients(): void {
    for (const client of this.clients) client.leave();
    this.clients.clear();
  }

  async stop(): Promise<void> {
    this.disconnectClients();
    await Promise.all([...this.running].map((replica) => replica.stop()));
  }
}

async function cutOff(database: TestDatabase): Promise<() => Promise<void>> {
  const [row] = await database.sql<{ name: string }>('select current_database() as name');
  const admin = new pg.Client({ connectionString: testServerUrl() });
  await admin.connect();
  await admin.query(`alter database ${row?.name} allow_connections false`);
  await admin.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1 and usename = 'orders'`,
    [row?.name],
  );
  return async () => {
    await admin.query(`alter database ${row?.name} allow_connections true`);
    await admin.end();
  };
}

async function openWriter(database: TestDatabase) {
  const client = new pg.Client({ connectionString: database.directUrl });
  await client.connect();
  return {
    sql: (text: string, values: unknown[] = []) => client.query(text, values),
    onNotice: (handle: (channel: string) => void) => client.on('notification', ({ channel }) => handle(channel)),
    end: () => client.end(),
  };
}

export type World = Awaited<ReturnType<typeof startWorld>>;

export interface Replica {
  readonly app: Awaited<ReturnType<typeof createApp>>;
  readonly url: string;
  as(userId: string, roles?: string): Client;
  with(headers: Record<string, string>): Client;
  stop(): Promise<void>;
}

export interface Client extends ReturnType<typeof caller> {
  follow(path: string, lastEventId?: string): Promise<EventClient>;
}

/** Writes a step without the service. */
export const INSERT_STEP = `
  insert into orders.order_timeline (order_id, customer_id, type, status, version, at, actor)
  values ($1, $2, 'Tested', 'PLACED', $3, now(), 'system')`;

/** Consumes transaction ids. Each failing block takes one. */
export const burnTransactions = (count: number) => `
  do $$ begin
    for n in 1..${count} loop
      begin
        perform pg_current_xact_id();
        update orders.products set available = available where id = 'tea';
        raise exception 'never';
      exception when raise_exception then null;
      end;
    end loop;
  end $$`;
