import { Clock } from '@twinbox/kernel';
import { until } from '@twinbox/messaging/testing';
import { anOrder, type PaymentServiceHarness, startPaymentService } from './payment-service.harness.js';

const DAY_MS = 86_400_000;

/** The clock of a machine that is set wrong. */
class WrongClock extends Clock {
  constructor(private readonly aheadMs: number) {
    super();
  }

  override now(): Date {
    return new Date(Date.now() + this.aheadMs);
  }
}

describe.each([
  ['ahead', DAY_MS],
  ['behind', -DAY_MS],
])('a replica whose clock is a day %s', (_, aheadMs) => {
  let service: PaymentServiceHarness;
  beforeAll(async () => {
    service = await startPaymentService({ clock: new WrongClock(aheadMs) });
  });
  afterAll(() => service.stop());

  it('P2 expires exactly the payments that are due by the clock of the database', async () => {
    const [pending, due] = [await service.aRequest(), await service.aRequest()];

    await service.database.sql('update payments.payment_requests set expires_at = now() where id = $1', [due.id]);
    await service.untilStatus(due, 'FAILED');

    expect(await service.stored(due)).toMatchObject({ request: { reason: 'expired' } });
    expect(await service.stored(pending)).toMatchObject({ request: { status: 'PENDING' }, messages: [] });
  });

  it('P2 gives a payment the configured time to live, by the clock of the database', async () => {
    const order = anOrder();
    await service.receives('OrderPlaced', order);

    const [row] = await until('the payment is requested', async () => {
      const rows = await service.database.sql<Record<'ttl' | 'age' | 'id_age', number>>(
        `select extract(epoch from expires_at - created_at)::float8 * 1000 as ttl,
                extract(epoch from now() - created_at)::float8 as age,
                extract(epoch from now())::float8
                  - ('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0 as id_age
           from payments.payment_requests where order_id = $1`,
        [order.orderId],
      );
      return rows.length > 0 && rows;
    });
    const [message] = await service.database.sql<{ payload: string }>(
      'select payload from payments.outbox where aggregateid = $1',
      [order.orderId],
    );
    const [stored] = await service.database.sql<{ expires_at: Date }>(
      'select expires_at from payments.payment_requests where order_id = $1',
      [order.orderId],
    );

    expect(row?.ttl).toBe(service.config.PAYMENT_TTL);
    expect(Math.abs(row?.age ?? NaN)).toBeLessThan(60);
    // Lists by creation time are ordered by id.
    expect(Math.abs(Number(row?.id_age))).toBeLessThan(60);
    expect(JSON.parse(message?.payload ?? '{}').expiresAt).toBe(stored?.expires_at.toISOString());
  });
});
