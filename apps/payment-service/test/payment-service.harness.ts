import { randomUUID } from 'node:crypto';
import { createApp } from '@twinbox/api-kit';
import { ORDER_EVENTS, type OrderCancelled, type OrderPlaced } from '@twinbox/contracts';
import { Clock } from '@twinbox/kernel';
import { produce, until } from '@twinbox/messaging/testing';
import { type InProcessService, startInProcess } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { AppModule } from '../src/app.module.js';
import { CreatePaymentRequest } from '../src/application/create-payment-request.js';
import { PaymentGateway } from '../src/application/payment-gateway.js';
import { PaymentServiceConfig } from '../src/config.js';
import { paymentService } from '../src/service.js';

export type PaymentServiceHarness = Awaited<ReturnType<typeof startPaymentService>>;

export interface HarnessOptions {
  /** Overrides the environment. */
  readonly config?: Partial<Omit<PaymentServiceConfig, 'DATABASE_URL' | 'KAFKA_BROKERS'>>;
  /** Further variables of the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Replaces the configured gateway. */
  readonly gateway?: PaymentGateway;
  /** Replaces the system clock. */
  readonly clock?: Clock;
}

/** The data of OrderPlaced. */
export type PlacedOrder = Required<OrderPlaced>;

export interface Step {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Starts payment-service and returns it with helpers for its tests. */
export async function startPaymentService({ config: settings, env, gateway, clock }: HarnessOptions = {}) {
  const service = await startInProcess(
    { ...paymentService, module: (config) => moduleOf(Object.assign(config, settings), gateway, clock) },
    'payments',
    env,
  );
  const config = service.app.get(PaymentServiceConfig);
  return {
    ...service,
    config,
    ...callersOf(service),
    ...requestsOf(service),
    ...messagesOf(service, config),
    ...readersOf(service),

    /** Starts another replica without a port, with timers and jobs. Close it before stopping the service. */
    async anotherReplica(replicaClock = clock) {
      const replica = await createApp(moduleOf(config, gateway, replicaClock), config);
      return replica.init();
    },
  };
}

function moduleOf(config: PaymentServiceConfig, gateway?: PaymentGateway, clock?: Clock) {
  const module = AppModule.with(config);
  const { providers = [] } = module;
  return {
    ...module,
    providers: [
      ...providers,
      ...(gateway ? [{ provide: PaymentGateway, useValue: gateway }] : []),
      ...(clock ? [{ provide: Clock, useValue: clock }] : []),
    ],
  };
}

function callersOf(service: InProcessService) {
  return {
    /** A customer, new unless named. */
    aCustomer(userId = `customer ${randomUUID()}`) {
      return { userId, ...service.caller({ 'x-user-id': userId }) };
    },

    anOperator: (userId = 'ops', headers: Record<string, string> = {}) =>
      service.caller({ 'x-user-id': userId, 'x-roles': 'operator', ...headers }),
  };
}

function requestsOf({ app, database }: InProcessService) {
  /** Creates the payment request of a placed order. */
  async function aRequest(fields: Partial<PlacedOrder> = {}): Promise<PlacedOrder & { readonly id: string }> {
    const placed = anOrder(fields);
    await app.get(DataSource).transaction((tx) => app.get(CreatePaymentRequest).execute(tx, placed, uuidv7()));
    const [row] = await database.sql<{ id: string }>('select id from payments.payment_requests where order_id = $1', [
      placed.orderId,
    ]);
    return { ...placed, id: row?.id ?? '' };
  }
  return {
    aRequest,

    /** Creates many requests, a few at a time, because more would exceed the time limit for a connection. */
    async someRequests(count: number) {
      const requests = [];
      while (requests.length < count) requests.push(...(await Promise.all([aRequest(), aRequest(), aRequest()])));
      return requests.slice(0, count);
    },
  };
}

function messagesOf({ database }: InProcessService, config: PaymentServiceConfig) {
  /** Sends a message of order-service over Kafka and returns its id. */
  async function receives(
    type: keyof typeof ORDER_EVENTS.events,
    data: object,
    id = uuidv7(),
    key = String((data as Partial<PlacedOrder>).orderId),
    version = ORDER_EVENTS.events[type].version as number,
  ): Promise<string> {
    const headers = {
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: '/order-service',
      ce_type: type,
      ce_dataschema: `urn:event:${type}:${version}`,
      'content-type': 'application/json',
    };
    const record = { key, value: JSON.stringify(data), headers };
    await produce(config.KAFKA_BROKERS, config.ORDER_EVENTS_TOPIC, [record]);
    return id;
  }
  return {
    receives,

    /** Cancels the order and waits until payment-service has processed it. */
    async receivesCancelled(
      { orderId, customerId }: { readonly orderId: string; readonly customerId: string },
      fields: Partial<OrderCancelled> = {},
    ) {
      const data = { orderId, customerId, reason: 'changed my mind', actor: 'customer:ada' };
      const id = await receives('OrderCancelled', { ...data, ...fields });
      await until('the cancellation is processed', async () => {
        const [row] = await database.sql('select from payments.inbox where message_id = $1', [id]);
        return row;
      });
      return id;
    },
  };
}

function readersOf({ database }: InProcessService) {
  return {
    /** Returns a request as stored, and the messages about it after PaymentRequested. */
    async stored({ id, orderId }: { readonly id: string; readonly orderId: string }) {
      const [[request], [requested, ...messages]] = await Promise.all([
        database.sql('select * from payments.payment_requests where id = $1', [id]),
        database.sql('select * from payments.outbox where aggregateid = $1 order by position', [orderId]),
      ]);
      expect(requested).toMatchObject({ type: 'PaymentRequested' });
      return { request, messages };
    },

    /** Returns the timeline of an order in payment-service. */
    steps: ({ orderId }: { readonly orderId: string }) =>
      database.sql<Step>('select * from payments.payment_timeline where order_id = $1 order by position', [orderId]),

    untilAll: (requests: readonly { readonly id: string }[], status: string) =>
      until(`all payments are ${status}`, async () => {
        const rows = await database.sql('select from payments.payment_requests where id = any($1) and status = $2', [
          requests.map(({ id }) => id),
          status,
        ]);
        return rows.length === requests.length;
      }),

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

export function anOrder(fields: Partial<PlacedOrder> = {}): PlacedOrder {
  const items = [{ productId: 'tea', name: 'Tea', quantity: 2, unitPrice: 450 }];
  return { orderId: uuidv7(), customerId: `customer ${randomUUID()}`, total: 900, currency: 'EUR', items, ...fields };
}
