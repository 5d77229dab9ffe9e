import { randomUUID } from 'node:crypto';
import { createApp } from '@twinbox/api-kit';
import { type OrderCancelled } from '@twinbox/contracts';
import { Clock } from '@twinbox/kernel';
import { produce, until } from '@twinbox/messaging/testing';
import { startInProcess } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AppModule } from '../src/app.module.js';
import { CreatePaymentRequest } from '../src/application/create-payment-request.js';
import { PaymentGateway } from '../src/application/payment-gateway.js';
import { PaymentServiceConfig } from '../src/config.js';
import { paymentService } from '../src/service.js';

export type PaymentServiceHarness = Awaited<ReturnType<typeof startPaymentService>>;

export interface HarnessOptions {
  /** Instead of what the environment would say. */
  readonly config?: Partial<Omit<PaymentServiceConfig, 'DATABASE_URL' | 'KAFKA_BROKERS'>>;
  /** Instead of the one that the configuration chooses. */
  readonly gateway?: PaymentGateway;
  /** Instead of the machine's. */
  readonly clock?: Clock;
}

/** What OrderPlaced says. */
export interface PlacedOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly total: number;
  readonly currency: string;
}

export interface Step {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** payment-service, running, and what its tests do with it. */
export async function startPaymentService({ config: settings, gateway, clock }: HarnessOptions = {}) {
  const moduleOf = (config: PaymentServiceConfig, its = clock) => {
    const module = AppModule.with(config);
    const { providers = [] } = module;
    return {
      ...module,
      providers: [
        ...providers,
        ...(gateway ? [{ provide: PaymentGateway, useValue: gateway }] : []),
        ...(its ? [{ provide: Clock, useValue: its }] : []),
      ],
    };
  };
  const service = await startInProcess(
    { ...paymentService, module: (config) => moduleOf(Object.assign(config, settings)) },
    'payments',
  );
  const { database } = service;
  const config = service.app.get(PaymentServiceConfig);

  async function hears(
    type: string,
    data: object,
    id = uuidv7(),
    key = String((data as Partial<PlacedOrder>).orderId),
  ): Promise<string> {
    const headers = {
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: '/order-service',
      ce_type: type,
      ce_dataschema: `urn:twinbox:event:${type}:1`,
      'content-type': 'application/json',
    };
    const record = { key, value: JSON.stringify(data), headers };
    await produce(config.KAFKA_BROKERS, config.ORDER_EVENTS_TOPIC, [record]);
    return id;
  }

  /** As if an order had been placed: a request for its payment. */
  async function aRequest(fields: Partial<PlacedOrder> = {}): Promise<PlacedOrder & { readonly id: string }> {
    const placed = anOrder(fields);
    await service.app
      .get(DataSource)
      .transaction((tx) => service.app.get(CreatePaymentRequest).execute(tx, placed, uuidv7()));
    const [row] = await database.sql<{ id: string }>('select id from payments.payment_requests where order_id = $1', [
      placed.orderId,
    ]);
    return { ...placed, id: row?.id ?? '' };
  }

  return {
    ...service,
    config,

    /** Another replica, without a port: its timers and its jobs run. Close it before the service is stopped. */
    async anotherReplica(its?: Clock) {
      const replica = await createApp(moduleOf(config, its), config);
      return replica.init();
    },

    /** A customer of the test's own, unless it names one. */
    aCustomer(userId = `customer ${randomUUID()}`) {
      return { userId, ...service.caller({ 'x-user-id': userId }) };
    },

    anOperator: (userId = 'ops', headers: Record<string, string> = {}) =>
      service.caller({ 'x-user-id': userId, 'x-roles': 'operator', ...headers }),

    aRequest,

    /** Many of them, a few at a time: more would wait for a connection longer than they may. */
    async someRequests(count: number) {
      const requests = [];
      while (requests.length < count) requests.push(...(await Promise.all([aRequest(), aRequest(), aRequest()])));
      return requests.slice(0, count);
    },

    /** A message of order-service comes over Kafka; gives its id. */
    hears,

    /** The order is cancelled, and payment-service has handled it. */
    async hearsCancelled(
      order: { readonly orderId: string; readonly customerId: string },
      fields: Partial<OrderCancelled> = {},
    ) {
      const data = {
        orderId: order.orderId,
        customerId: order.customerId,
        reason: 'changed my mind',
        actor: 'customer:ada',
      };
      const id = await hears('OrderCancelled', { ...data, ...fields });
      await until('the cancellation is handled', async () => {
        const [known] = await database.sql('select from payments.inbox where message_id = $1', [id]);
        return known;
      });
      return id;
    },

    /** A request as it is stored, and the messages about it, without the first: PaymentRequested. */
    async stored({ id, orderId }: { readonly id: string; readonly orderId: string }) {
      const [[request], [requested, ...messages]] = await Promise.all([
        database.sql('select * from payments.payment_requests where id = $1', [id]),
        database.sql('select * from payments.outbox where aggregateid = $1 order by position', [orderId]),
      ]);
      expect(requested).toMatchObject({ type: 'PaymentRequested' });
      return { request, messages };
    },

    /** What stands in an order's timeline on this side. */
    steps: ({ orderId }: { readonly orderId: string }) =>
      database.sql<Step>('select * from payments.payment_timeline where order_id = $1 order by position', [orderId]),

    /** Waits until all of the requests have the status. */
    untilAll: (requests: readonly { readonly id: string }[], status: string) =>
      until(`all payments are ${status}`, async () => {
        const rows = await database.sql('select from payments.payment_requests where id = any($1) and status = $2', [
          requests.map(({ id }) => id),
          status,
        ]);
        return rows.length === requests.length;
      }),

    /** Waits until the request has the status. */
    untilStatus: ({ id }: { readonly id: string }, status: string) =>
      until(`the payment is ${status}`, async () => {
        const [row] = await database.sql<{ status: string }>('select * from payments.payment_requests where id = $1', [
          id,
        ]);
        if (row?.status !== status) throw new Error(`it is ${row?.status}`);
        return row;
      }),
  };
}

/** An order that was placed. */
export function anOrder(fields: Partial<PlacedOrder> = {}): PlacedOrder {
  return { orderId: uuidv7(), customerId: `customer ${randomUUID()}`, total: 900, currency: 'EUR', ...fields };
}
