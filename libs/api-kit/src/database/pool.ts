import type { EventEmitter } from 'node:events';
import { Logger } from '@nestjs/common';
import { type Secret, type SessionSettings } from '@twinbox/messaging/session-client';
import pg, { type PoolConfig } from 'pg';
import { BoundedClient } from './bounded-client.js';

/** A pool configuration with the `url` and the `settings` for the `SessionClient`. */
export type SettledPoolConfig = PoolConfig & { readonly url: Secret; readonly settings: SessionSettings };

/** Creates a pool of {@link BoundedClient bounded clients}. */
export function boundedPool(config: SettledPoolConfig): pg.Pool {
  const logger = new Logger('Database');
  const pool = new pg.Pool({ ...config, Client: BoundedClient });
  const idle = new Set<unknown>();
  pool.on('connect', (client: EventEmitter) => {
    // If one connection died silently, the idle ones probably did too, and each would cost another request a 503.
    client.on('unanswered', () => {
      for (const other of idle) (other as BoundedClient).disconnect();
    });
    // The pool handles errors while a connection is idle, and TypeORM once it holds the connection. An error in between, when a server dies
    // in the same packet as its greeting, would end the process. The next query of that connection fails and reports the error.
    client.on('error', () => undefined);
  });
  pool.on('acquire', (client) => void idle.delete(client));
  pool.on('release', (_, client) => void idle.add(client));
  pool.on('remove', (client) => void idle.delete(client));
  // Without a listener, losing an idle connection would end the process.
  pool.on('error', (error) => logger.warn(`Lost an idle connection: ${error.message}.`));
  return pool;
}
