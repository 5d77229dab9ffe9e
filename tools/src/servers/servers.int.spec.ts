import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startKafka } from './kafka.js';
import { type KafkaServer } from './kafka-server.js';
import { acceptsConnections } from './ports.js';
import { startPostgres } from './postgres.js';
import { type PostgresServer } from './postgres-server.js';

describe('PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => (server = await startPostgres({ database: 'it', settings: { fsync: 'off' } })));
  afterAll(() => server.remove());

  const query = async (sql: string) => {
    const client = new pg.Client(server.url);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };

  it('uses UTF-8 and a locale that sorts the same on every machine', async () => {
    const rows = await query(
      'select datname, pg_encoding_to_char(encoding) as encoding, datlocprovider, datlocale from pg_database where datname = current_database()',
    );

    expect(rows).toEqual([{ datname: 'it', encoding: 'UTF8', datlocprovider: 'b', datlocale: 'C.UTF-8' }]);
  });

  it('rejects a connection with the wrong password', async () => {
    const client = new pg.Client(server.url.replace('postgres:postgres@', 'postgres:wrong@'));

    await expect(client.connect()).rejects.toThrow('password authentication failed');
  });

  it('keeps committed data across a crash and listens on the same port again', async () => {
    await query('create table kept as select 1 as n');

    await server.kill();
    expect(await acceptsConnections(server.port)).toBe(false);
    await server.start();

    expect(await query('select n from kept')).toEqual([{ n: 1 }]);
  });

  it('takes over the data of a server that was never stopped', async () => {
    const [before] = await query('select pg_postmaster_start_time() as time');

    const again = await startPostgres({
      dataDir: server.dataDir,
      port: server.port,
      database: 'it',
      settings: { fsync: 'off' },
    });

    const [after] = await query('select pg_postmaster_start_time() as time');
    expect(after.time > before.time).toBe(true);
    server = again;
  });
});

describe('Kafka', () => {
  let server: KafkaServer;
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'it-kafka-'));
    server = await startKafka({ dataDir, shortLived: true });
  });
  afterAll(async () => {
    await server.remove();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('answers on the same port after a crash', async () => {
    await server.kill();
    expect(await acceptsConnections(server.port)).toBe(false);
    await server.start();

    // ApiVersions, version 0, correlation id 7: the first request of every client.
    const request = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]);
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.write(request));
      socket.once('error', reject).once('data', (data) => {
        socket.destroy();
        resolve(data);
      });
    });
    expect(answer.readInt32BE(4)).toBe(7);
  });

  it('takes over the data of a node that was never stopped', async () => {
    const again = await startKafka({ dataDir, port: server.port, shortLived: true });

    expect(await acceptsConnections(again.port)).toBe(true);
    server = again;
  });
});
