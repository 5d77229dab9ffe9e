import { connect, createServer, type Server, type Socket } from 'node:net';

/** The types of client messages that end a statement: `Query` and `Sync`. */
const STATEMENT_ENDS = new Set(['Q', 'S']);
const NOTIFICATION = 'A';

/** A proxy to PostgreSQL that records the statements it forwards. */
export interface PostgresLink {
  /** The URL of the server through the proxy. */
  readonly url: string;
  /** The texts of the statements forwarded so far, from all connections. */
  readonly statements: string[];
  /** Stops forwarding notifications, as a pooler in transaction mode does. */
  swallowNotices(): void;
  close(): Promise<void>;
}

export async function linkToPostgres(serverUrl: string): Promise<PostgresLink> {
  const server = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const statements: string[] = [];
  let swallowing = false;

  const link: Server = createServer((client) => {
    const upstream = connect(Number(server.port || 5432), server.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => [client, upstream].forEach((one) => one.destroy()));
    }
    // A client's first message, the start-up packet, has no type.
    const sent = frames(false, (frame, type) => {
      if (type === 'P' || type === 'Q') text += frame.subarray(5).toString();
      if (STATEMENT_ENDS.has(type)) statements.push(text.replaceAll('\0', ' '));
      if (STATEMENT_ENDS.has(type)) text = '';
      upstream.write(frame);
    });
    const answered = frames(true, (frame, type) => {
      if (!(swallowing && type === NOTIFICATION)) client.write(frame);
    });
    let text = '';
    client.on('data', sent);
    upstream.on('data', answered);
  });
  await new Promise<void>((resolve) => link.listen(0, '127.0.0.1', resolve));
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((link.address() as { port: number }).port);
  return {
    url: url.href,
    statements,
    swallowNotices: () => (swallowing = true),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => link.close(resolve));
    },
  };
}

/** Splits a stream into the messages of PostgreSQL's protocol: a type, then a length that includes itself. */
function frames(typed: boolean, onFrame: (frame: Buffer, type: string) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let started = typed;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = started ? 1 : 0;
      if (rest.length < head + 4) return;
      const size = head + rest.readInt32BE(head);
      if (rest.length < size) return;
      onFrame(rest.subarray(0, size), started ? String.fromCharCode(rest[0]!) : '');
      started = true;
      rest = rest.subarray(size);
    }
  };
}
