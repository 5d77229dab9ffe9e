import { type PostgresServer, type PostgresStandby, startPostgres, startSynchronousStandby } from '@twinbox/tools';
import { FaultProxy, type Filter } from '@twinbox/tools/fault-proxy';

const SETTINGS = { fsync: 'off' };

/** A separate PostgreSQL for one test, with a synchronous standby, and a link that leads to either of them. */
export interface ReplicatedPostgres {
  readonly primary: PostgresServer;
  readonly standby: PostgresStandby;
  /** The URL of the link, which leads to the primary at first. */
  readonly url: string;
  readonly leadTo: (server: PostgresServer) => void;
  remove(): Promise<void>;
}

/** @param prepare fills the primary, whose URL through the link it is given, before the standby exists */
export async function startReplicatedPostgres(
  prepare: (url: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<ReplicatedPostgres> {
  const primary = await startPostgres({ settings: SETTINGS });
  const link = await FaultProxy.open(primary.port);
  const url = withPort(primary.url, link.port);
  await prepare(url);
  const standby = await startSynchronousStandby(primary, { settings: SETTINGS });
  return {
    primary,
    standby,
    url,
    leadTo: ({ port }) => link.pointAt(port),
    async remove() {
      await link.close();
      await primary.remove();
      await standby.remove();
    },
  };
}

/** Opens a link that still announces the server as a standby, as a pooler may after a fail-over. */
export async function linkWithOldGreeting(server: PostgresServer): Promise<{ url: string; close(): Promise<void> }> {
  const link = await FaultProxy.open(server.port, { filter: oldGreeting });
  return { url: withPort(server.url, link.port), close: () => link.close() };
}

function oldGreeting(): Filter {
  const truth = Buffer.from('in_hot_standby\0off\0');
  return {
    answer(chunk) {
      const at = chunk.indexOf(truth);
      if (at >= 0) chunk.write('on\0', at + truth.length - 'off\0'.length);
      return chunk;
    },
  };
}

function withPort(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}
