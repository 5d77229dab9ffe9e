import { FaultProxy, type Filter } from '@twinbox/tools/fault-proxy';
import { frames } from './frames.js';

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
  const statements: string[] = [];
  let swallowing = false;
  const filter = (): Filter => ({
    request: statementReader((text) => statements.push(text)),
    answer: frames(typeFirst, (frame) => (swallowing && typeOf(frame) === NOTIFICATION ? undefined : frame)),
  });
  const url = new URL(serverUrl);
  const proxy = await FaultProxy.open(Number(url.port || 5432), { filter });
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  return {
    url: url.href,
    statements,
    swallowNotices: () => (swallowing = true),
    close: () => proxy.close(),
  };
}

/** Passes on what a client sends, and reads its statements. */
function statementReader(onStatement: (text: string) => void): (chunk: Buffer) => Buffer {
  let hasStarted = false;
  let text = '';
  // A client's first message, the start-up packet, has no type.
  const sizeOf = (data: Buffer) => (hasStarted ? typeFirst(data) : data.length < 4 ? undefined : data.readInt32BE(0));
  return frames(sizeOf, (frame) => {
    const type = hasStarted ? typeOf(frame) : '';
    hasStarted = true;
    if (type === 'P' || type === 'Q') text += frame.subarray(5).toString();
    if (STATEMENT_ENDS.has(type)) {
      onStatement(text.replaceAll('\0', ' '));
      text = '';
    }
    return frame;
  });
}

/** The size of a message of PostgreSQL's protocol: a type, then a length that includes itself. */
const typeFirst = (data: Buffer): number | undefined => (data.length < 5 ? undefined : 1 + data.readInt32BE(1));

const typeOf = (frame: Buffer): string => String.fromCharCode(frame[0] ?? 0);
