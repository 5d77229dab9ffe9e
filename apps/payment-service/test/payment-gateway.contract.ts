import { v7 as uuidv7 } from 'uuid';
import { type PaymentGateway } from '../src/application/payment-gateway.js';
import { type PaymentRequest, requestPayment } from '../src/domain/payment-request.js';

export function aRequest(id = uuidv7()): PaymentRequest {
  const placed = { orderId: uuidv7(), customerId: 'ada', total: 900, currency: 'EUR' };
  return requestPayment(placed, id, new Date(), { ttlMs: 60_000, gateway: 'any' }).state;
}

/** The contract that every gateway must fulfil. */
export function describeGateway(name: string, make: () => PaymentGateway): void {
  const never = new AbortController().signal;

  describe(`the gateway ${name}`, () => {
    it('answers a repeated charge the same way, even from another process', async () => {
      const request = aRequest();

      const [first, second] = [make(), make()];
      const answer = await first.charge(request, request.id, never);
      const repeated = await first.charge(request, request.id, never);
      const elsewhere = await second.charge(request, request.id, never);

      expect(answer.status).toMatch(/^(SUCCEEDED|FAILED|PENDING)$/);
      expect([repeated, elsewhere]).toEqual([answer, answer]);
    });

    it('has a name that fits into every request', () => {
      expect(make().name).toMatch(/^[a-z0-9-]{1,40}$/);
      expect(make().name).toBe(name);
    });

    it('gives the reason when a charge fails', async () => {
      const gateway = make();
      for (let n = 0; n < 50; n++) {
        const request = aRequest();

        const answer = await gateway.charge(request, request.id, never);

        if (answer.status === 'FAILED') expect(answer.reason).toMatch(/\S/);
      }
    });

    it('makes a refund and accepts a repeated one', async () => {
      const request = aRequest();
      const gateway = make();

      await gateway.refund(request, `${request.id}-refund`, never);

      await expect(gateway.refund(request, `${request.id}-refund`, never)).resolves.toBeUndefined();
    });
  });
}
