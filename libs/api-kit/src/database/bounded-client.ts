import type { Socket } from 'node:net';
import { isStaleStatement } from '@twinbox/messaging/database-errors';
import { SessionClient } from '@twinbox/messaging/session-client';
import { PreparedStatements } from './prepared-statements.js';

const prepared = new PreparedStatements();

// Members of pg's clients that are missing from their types.
interface Internals {
  connection: { stream: Socket };
}

/**
 * A client that prepares the statements marked with `prepared`, and closes its connection when a query gets no answer. pg itself only
 * stops waiting. TypeORM would then wait just as long for the ROLLBACK, and the pool would give the dead connection to the next request.
 */
export class BoundedClient extends SessionClient {
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

  /** Closes the connection at once. Its queries fail. */
  disconnect(): void {
    (this as unknown as Internals).connection.stream.destroy();
  }
}
