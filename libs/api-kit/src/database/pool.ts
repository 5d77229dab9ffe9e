import type { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Logger } from '@nestjs/common';
import { isStaleStatement } from '@twinbox/messaging/database-errors';
import { SessionClient, type SessionSettings } from '@twinbox/messaging/session-client';
import pg, { type PoolConfig } from 'pg';
import { PreparedStatements } from './prepared-statements.js';

/** A pool configuration with the `settings` for the {@link SessionClient}. */
export type SettledPoolConfig = PoolConfig & { readonly settings: SessionSettings };

const prepared = new PreparedStatements();

// Members of pg's clients that are missing from their types.
interface Internals {
  connection: { stream: Socket };
}

/**
 * A client that closes its connection when a query gets no answer. pg itself only stops waiting. TypeORM would then wait just as long for
 * the ROLLBACK, and the pool would give the dead connection to the next request.
 */
class BoundedClient extends SessionClient {
  // pg's `query` has ten overloads. TypeORM and the other callers here use those that return a promise.
  override query(...args: unknown[]): never {
    const { stream } = (this as unknown as Internals).connection;
    // Queries of one event-loop turn are sent in one packet.
    stream.cork();
    setImmediate(() => stream.uncork());
    const { bytesRead } = stream;
    const named = prepared.named(args);
    const result: unknown = super.query.apply(this, named as never);
    if (!(result instanceof Promise)) return result as never;
    return result.catch((error: unknown) => {
      if (isStaleStatement(error)) prepared.isStale(named, error);
      if (error instanceof Error && error.message === 'Query read timeout') {
        this.disconnect();
        // If the server did send something, it may just not have got to this query yet, because earlier ones waited for locks.
        if (stream.bytesRead === bytesRead) this.emit('unanswered');
      }
      throw error;
    }) as never;
  }

  disconnect(): void {
    (this as unknown as Internals).connection.stream.destroy();
  }
}

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
