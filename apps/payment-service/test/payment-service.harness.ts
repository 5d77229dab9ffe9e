import { randomUUID } from 'node:crypto';
import { type OrderPlaced } from '@twinbox/contracts';
import { startInProcess } from '@twinbox/test-support';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { CreatePaymentRequest } from '../src/application/create-payment-request.js';
import { paymentService } from '../src/service.js';

export type PaymentServiceHarness = Awaited<ReturnType<typeof startPaymentService>>;

/** payment-service, running, and what its tests do with it. */
export async function startPaymentService() {
  const service = await startInProcess(paymentService, 'payments');
  const { database } = service;
  return {
    ...service,

    /** A customer of the test's own, unless it names one. */
    aCustomer(userId = `customer ${randomUUID()}`) {
      return { userId, ...service.caller({ 'x-user-id': userId }) };
    },

    anOperator: (userId = 'ops', headers: Record<string, string> = {}) =>
      service.caller({ 'x-user-id': userId, 'x-roles': 'operator', ...headers }),

    /** As if an order had been placed: a pending request for its payment. */
    async aRequest(fields: Partial<OrderPlaced> = {}): Promise<OrderPlaced & { readonly id: string }> {
      const placed = {
        orderId: uuidv7(),
        customerId: `customer ${randomUUID()}`,
        total: 900,
        currency: 'EUR',
        ...fields,
      };
      await service.app.get(DataSource).transaction((tx) => service.app.get(CreatePaymentRequest).execute(tx, placed));
      const [row] = await database.sql<{ id: string }>('select id from payments.payment_requests where order_id = $1', [
        placed.orderId,
      ]);
      return { ...placed, id: row?.id ?? '' };
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
  };
}
