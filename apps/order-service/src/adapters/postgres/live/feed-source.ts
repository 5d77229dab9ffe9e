import { Injectable } from '@nestjs/common';
import { BoundedClient, secretOf } from '@twinbox/api-kit';
import { isStaleStatement } from '@twinbox/messaging/database-errors';
import { endClient, withoutRefusal } from '@twinbox/messaging/session-client';
import pg from 'pg';
import { type FeedBatch, FeedClosed, FeedSource, FeedWentBack } from '../../../application/live/ports.js';
import { type ResumePoint, type Snapshot } from '../../../application/live/resume-point.js';
import { OrderServiceConfig } from '../../../config.js';
import { Announcer } from './announcer.js';
import { MAX_STEPS, readKnows, readNow, readSince } from './feed-sql.js';
import { type Landmarks, type Query, readLandmarks, wentBack } from './landmarks.js';

const CHANNEL = 'orders_timeline';
const TICKETS = 'orders_tickets';
/** After this time without an answer a connection counts as dead, so that a 503 is sent within 2 s. */
const ANSWER_MS = 1500;

/**
 * Reads and announces steps, and listens, on a connection of its own, so that a busy pool delays no subscriber. It connects on demand and
 * again after each loss. Behind a pooler in transaction mode no notice arrives, and prepared statements may be lost, but the rest works.
 */
@Injectable()
export class PostgresFeedSource extends FeedSource {
  private connecting: Promise<pg.Client> | undefined;
  private current: pg.Client | undefined;
  private wake: () => void = () => undefined;
  private ticketUsed: (hash: string, use: number) => void = () => undefined;
  private closed = false;
  private landmarks: Landmarks | undefined;
  private readonly query: Query = async <Row extends object>(text: string, values: readonly unknown[]) => {
    const client = await this.connected();
    const send = async () => (await client.query<Row & pg.QueryResultRow>(text, [...values])).rows;
    try {
      // If a prepared statement was lost, or its table changed, it is prepared again under another name.
      return await send().catch((error: unknown) => {
        if (isStaleStatement(error)) return send();
        throw error;
      });
    } catch (error) {
      // A DatabaseError is an answer of the server, so the connection still works.
      if (!(error instanceof pg.DatabaseError)) this.lose(client);
      throw error;
    }
  };

  /** Outside of the writing transaction, where NOTIFY would serialise all commits. Not durable, so it does not wait for the disk. */
  private readonly announcer = new Announcer(() => this.notify(CHANNEL, ''));

  constructor(private readonly config: OrderServiceConfig) {
    super();
  }

  override async now(): Promise<Snapshot> {
    // Before the snapshot, so that the next reading notices a loss between the two.
    this.landmarks = await readLandmarks(this.query);
    return readNow(this.query);
  }

  override async since(seen: Snapshot): Promise<FeedBatch> {
    const { landmarks, knowsLast, ...reading } = await readSince(this.query, seen, MAX_STEPS);
    if (!knowsLast || (this.landmarks && wentBack(this.landmarks, landmarks))) throw new FeedWentBack();
    this.landmarks = { wal: landmarks.wal ?? this.landmarks?.wal ?? null, drawn: landmarks.drawn };
    return reading;
  }

  override knows(point: ResumePoint): Promise<boolean> {
    return readKnows(this.query, point);
  }

  override onAnnounced(wake: () => void): void {
    this.wake = wake;
  }

  override announce(): void {
    this.announcer.announce();
  }

  override onTicketUsed(listener: (hash: string, use: number) => void): void {
    this.ticketUsed = listener;
  }

  override announceTicketUsed(hash: string, use: number): void {
    void this.notify(TICKETS, `${hash} ${use}`).catch(() => undefined);
  }

  private notify(channel: string, payload: string): Promise<unknown> {
    return this.query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [channel, payload]);
  }

  override async close(): Promise<void> {
    this.closed = true;
    this.announcer.close();
    const client = await this.connecting?.catch(() => undefined);
    if (client) await endClient(client);
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
    const client: pg.Client = new BoundedClient({
      url: secretOf(this.config, 'DATABASE_URL'),
      application_name: 'order-service feed',
      settings: { search_path: 'orders' },
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
      keepAlive: true,
    });
    client.on('error', () => this.lose(client));
    client.on('end', () => this.lose(client));
    client.on('notification', ({ processId, channel, payload = '' }) => {
      // The connection also receives its own notices.
      if (processId === processIdOf(client)) return;
      if (channel === CHANNEL) return this.wake();
      const [hash = '', use] = payload.split(' ');
      this.ticketUsed(hash, Number(use));
    });
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}; listen ${TICKETS}`);
      this.current = client;
      return client;
    } catch (error) {
      void endClient(client);
      throw error;
    }
  }

  private lose(client: pg.Client): void {
    if (this.current !== client) return;
    this.current = undefined;
    this.connecting = undefined;
    void endClient(client);
    // Makes the feed reconnect and read at once.
    this.wake();
  }
}

function processIdOf(client: pg.Client): number | undefined {
  return (client as unknown as { processID?: number }).processID;
}
