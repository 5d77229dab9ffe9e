import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Housekeeper } from '@twinbox/api-kit';
import { DataSource } from 'typeorm';
import {
  type NewTicket,
  type TicketHolder,
  type TicketRefusal,
  TicketStore,
  type TicketTimes,
  type TicketUse,
} from '../../../application/live/tickets.js';
import { OrderServiceConfig } from '../../../config.js';

/** Per user. A page that is opened again and again leaves a ticket each time. */
const MAX_TICKETS = 50;
const CHUNK = 1000;

@Injectable()
export class PostgresTicketStore extends TicketStore implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly housekeeper = new Housekeeper('expired stream tickets', () => this.removeExpired());

  constructor(
    private readonly dataSource: DataSource,
    private readonly config: OrderServiceConfig,
  ) {
    super();
  }

  onApplicationBootstrap(): void {
    this.housekeeper.start();
  }

  beforeApplicationShutdown(): void {
    this.housekeeper.stop();
  }

  /** Served by stream_tickets_user. The statement does not see the row that it inserts. */
  override async add({ hash, userId, roles, orderId, expiresAt, keyId }: NewTicket): Promise<TicketTimes> {
    const { STREAM_TICKET_USE_WITHIN, STREAM_TICKET_TTL } = this.config;
    const [times]: TicketTimes[] = await this.dataSource.query(
      `with old as (
         delete from orders.stream_tickets where hash = any(array(
           select hash from orders.stream_tickets where user_id = $2 order by created_at desc offset $8 for update skip locked)))
       insert into orders.stream_tickets (hash, user_id, roles, order_id, key_id, valid_until, expires_at)
       select $1::bytea, $2::text, $3::text[], $4::uuid, $9::text, least(expires_at, now + $6::float8 * interval '1 ms'), expires_at
         from (select clock_timestamp() as now) as clock,
              lateral (select least($5::timestamptz, now + $7::float8 * interval '1 ms') as expires_at) as token
       returning valid_until as "useBy", expires_at as "expiresAt"`,
      [
        hash,
        userId,
        roles,
        orderId,
        expiresAt,
        STREAM_TICKET_USE_WITHIN,
        STREAM_TICKET_TTL,
        MAX_TICKETS - 1,
        keyId ?? null,
      ],
    );
    if (!times) throw new Error('PostgreSQL inserted no ticket');
    return times;
  }

  override async holderOf({ hash, resumes }: TicketUse, orderId: string | null): Promise<TicketHolder | TicketRefusal> {
    const [row]: (TicketHolder & { refusal: TicketRefusal | null })[] = await this.dataSource.query(
      `select user_id as "userId", roles, expires_at as "expiresAt", key_id as "keyId",
              case when order_id is distinct from $2::uuid then 'other-stream'
                   when valid_until <= clock_timestamp() then 'expired'
                   when uses > 0 and not $3 then 'used' end as refusal
         from orders.stream_tickets where hash = $1`,
      [hash, orderId, resumes],
    );
    if (!row) return 'unknown';
    const { refusal, ...holder } = row;
    return refusal ?? holder;
  }

  override async use({ hash, resumes }: TicketUse): Promise<number | undefined> {
    const [rows]: [{ uses: number }[], number] = await this.dataSource.query(
      `update orders.stream_tickets set uses = uses + 1, valid_until = expires_at
        where hash = $1 and valid_until > clock_timestamp() and (uses = 0 or $2) returning uses`,
      [hash, resumes],
    );
    return rows[0]?.uses;
  }

  override async usesOf(hashes: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows: { hash: string; uses: number }[] = await this.dataSource.query(
      `select encode(hash, 'hex') as hash, uses from orders.stream_tickets where hash = any($1::bytea[])`,
      [hashes.map((hash) => Buffer.from(hash, 'hex'))],
    );
    return new Map(rows.map(({ hash, uses }) => [hash, uses]));
  }

  /** Removes a chunk, served by stream_tickets_valid_until. Returns whether there may be more. */
  async removeExpired(): Promise<boolean> {
    const [, removed]: [unknown, number] = await this.dataSource.query(
      `delete from orders.stream_tickets where hash = any(array(
         select hash from orders.stream_tickets where valid_until < clock_timestamp()
          order by valid_until limit ${CHUNK} for update skip locked))`,
    );
    return removed === CHUNK;
  }
}
