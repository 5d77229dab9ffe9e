import { type DemoOrder, type Scenario } from './demo-scenarios.js';
import {
  type Headers,
  OPERATOR,
  type Order,
  ORDERS,
  PAYMENTS,
  post,
  RequestFailed,
  sendWebhook,
  waitForOrder,
} from './service-requests.js';

// There may be several secrets; a signature with any of them is valid.
const [WEBHOOK_SECRET] = process.env['WEBHOOK_SECRET']?.split(/[\s,]+/) ?? [];

/** Takes one demo order through its scenario. */
export class Demo {
  private readonly customer: Headers;

  /** @param key prefix of the idempotency keys, so that steps completed before an interruption are not repeated */
  constructor(
    private readonly order: DemoOrder,
    private readonly key: string,
  ) {
    this.customer = { 'x-user-id': order.customer };
  }

  /** Returns whether the scenario could be completed. */
  async run(): Promise<boolean> {
    const { items, description, scenario } = this.order;
    const draft = scenario === 'cart' || scenario === 'discarded';
    try {
      const { id } = await post<Order>(`${ORDERS}/orders`, this.withKey('open', this.customer), {
        draft,
        items,
        description,
      });
      await this.play(scenario, id);
      return true;
    } catch (error) {
      // In a shop that is in use, a product may be sold out; after a long interruption, a payment may have expired.
      if (!(error instanceof RequestFailed && error.status === 409)) throw error;
      return false;
    }
  }

  private async play(scenario: Scenario, id: string): Promise<void> {
    const order = `${ORDERS}/orders/${id}`;
    switch (scenario) {
      case 'cart':
        return;
      case 'discarded':
        await post(`${order}/cancel`, this.withKey('cancel', this.customer), { reason: 'Not this month.' });
        return;
      case 'waiting':
        await this.paymentOf(id);
        return;
      case 'paid':
      case 'finished':
        await post(`${await this.paymentOf(id)}/succeed`, this.withKey('succeed', OPERATOR));
        await waitForOrder(id, ({ status }) => status === 'COMPLETED' || status === 'FINISHED');
        if (scenario === 'finished') await post(`${order}/finish`, this.withKey('finish', OPERATOR));
        return;
      case 'declined':
        await post(`${await this.paymentOf(id)}/fail`, this.withKey('fail', OPERATOR), { reason: 'card declined' });
        await waitForOrder(id, ({ status }) => status === 'CANCELLED');
        return;
      case 'cancelled by the shop':
        await this.paymentOf(id);
        await post(`${order}/cancel`, this.withKey('cancel', OPERATOR), { reason: 'The last one has a dent.' });
        return;
      case 'cancelled':
      case 'refunded':
        await this.paymentOf(id);
        await post(`${order}/cancel`, this.withKey('cancel', this.customer), { reason: 'I have changed my mind.' });
        if (scenario === 'refunded' && WEBHOOK_SECRET) await this.payLate(WEBHOOK_SECRET, id);
    }
  }

  /** Reports a payment for an order that is cancelled already, which is then refunded. */
  private async payLate(secret: string, id: string): Promise<void> {
    const { payment } = await waitForOrder(id, (order) => order.payment?.status !== 'PENDING');
    const data = { paymentRequestId: payment?.paymentRequestId };
    await sendWebhook(secret, `demo-${payment?.paymentRequestId}`, {
      type: 'payment.succeeded',
      timestamp: new Date(),
      data,
    });
    await waitForOrder(id, (order) => order.payment?.status === 'REFUNDED');
  }

  private async paymentOf(id: string): Promise<string> {
    const { payment } = await waitForOrder(id, (order) => order.payment !== null);
    return `${PAYMENTS}/payment-requests/${payment?.paymentRequestId}`;
  }

  private withKey(step: string, headers: Headers): Headers {
    return { ...headers, 'idempotency-key': `${this.key}-${step}` };
  }
}
