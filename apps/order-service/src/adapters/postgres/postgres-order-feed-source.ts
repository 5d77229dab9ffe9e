import { Injectable } from '@nestjs/common';
import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import pg from 'pg';
import { type FeedPlace } from '../../application/order-feed-place.js';
import { type FeedSnapshot } from '../../application/order-feed-snapshot.js';
import { FeedClosed, type FeedReading, FeedWentBack, OrderFeedSource } from '../../application/order-feed-store.js';
import { OrderServiceConfig } from '../../config.js';
import { OrderFeedAnnouncer } from './order-feed-announcer.js';
import {
  type Landmarks,
  type Query,
  readKnows,
  readLandmarks,
  readNow,
  readSince,
  wentBack,
} from './order-feed-sql.js';

const CHANNEL = 'orders_timeline';
/** Steps of one reading, or a few more. */
const MOST_STEPS = 200;
/** A connection that leaves a query unanswered for so long is taken for dead: a 503 has to be there within 2 s. */
const ANSWER_MS = 1500;

/**
 * Reads and announces steps, and listens, on one connection of the process: a busy pool delays no follower. Made when it is first
 * needed, and again after each loss. Single statements without session state but for LISTEN: behind a pooler in transaction mode
 * no notice arrives, and the rest works.
 */
@Injectable()
export class PostgresOrderFeedSource extends OrderFeedSource {
  private connecting: Promise<pg.Client> | undefined;
  private current: pg.Client | undefined;
  private wake: () => void = () => undefined;
  private closed = false;
  private landmarks: Landmarks | undefined;
  private readonly query: Query = async <Row extends object>(text: string, values: readonly unknown[]) => {
    const client = await this.connected();
    try {
      return (await client.query<Row & pg.QueryResultRow>(text, [...values])).rows;
    } catch (error) {
      // The server has answered, and the connection is there; else it is of no more use.
      if (!(error instanceof pg.DatabaseError)) this.lose(client);
      throw error;
    }
  };

  /**
   * Outside of the writing transaction, where it would serialise all commits. It commits like a write, but need not survive a
   * crash, so it does not wait for the disk.
   */
  private readonly announcer = new OrderFeedAnnouncer(() =>
    this.query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, '')`, [CHANNEL]),
  );

  constructor(private readonly config: OrderServiceConfig) {
    super();
  }

  override async now(): Promise<FeedSnapshot> {
    // Before the snapshot: what goes back in between is noticed by the next reading.
    this.landmarks = await readLandmarks(this.query);
    return readNow(this.query);
  }

  override async since(seen: FeedSnapshot): Promise<FeedReading> {
    const { landmarks, knowsLast, ...reading } = await readSince(this.query, seen, MOST_STEPS);
    if (!knowsLast || (this.landmarks && wentBack(this.landmarks, landmarks))) throw new FeedWentBack();
    this.landmarks = { wal: landmarks.wal ?? this.landmarks?.wal ?? null, drawn: landmarks.drawn };
    return reading;
  }

  override knows(place: FeedPlace): Promise<boolean> {
    return readKnows(this.query, place);
  }

  override onAnnounced(wake: () => void): void {
    this.wake = wake;
  }

  override announce(): void {
    this.announcer.announce();
  }

  override async close(): Promise<void> {
    this.closed = true;
    this.announcer.close();
    const client = await this.connecting?.catch(() => undefined);
    if (client) await end(client);
  }

  private connected(): Promise<pg.Client> {
    if (this.closed) return Promise.reject(new FeedClosed());
    this.connecting ??= withoutRefusal(() => this.connect()).catch((error: unknown) => {
      this.connecting = undefined;
      throw error;
    });
    return this.connecting;
  }

  private async connect(): Promise<pg.Client> {
    const client = new SessionClient({
      connectionString: this.config.DATABASE_URL,
      application_name: 'order-service feed',
      settings: { search_path: 'orders' },
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
      keepAlive: true,
    });
    client.on('error', () => this.lose(client));
    client.on('end', () => this.lose(client));
    client.on('notification', ({ processId }) => {
      // Its own notice comes back too.
      if (processId !== processIdOf(client)) this.wake();
    });
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.current = client;
      return client;
    } catch (error) {
      void end(client);
      throw error;
    }
  }

  private lose(client: pg.Client): void {
    if (this.current !== client) return;
    this.current = undefined;
    this.connecting = undefined;
    void end(client);
    // Whoever follows reads at once on a new one.
    this.wake();
  }
}

function processIdOf(client: pg.Client): number | undefined {
  return (client as unknown as { processID?: number }).processID;
}

/** Never throws, and never waits for a server that does not answer. */
async function end(client: pg.Client): Promise<void> {
  const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection;
  const timer = setTimeout(() => stream.destroy(), 500);
  await client.end().catch(() => undefined);
  clearTimeout(timer);
}
