import { createOrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient } from '@twinbox/client/payments';
import { until } from '@twinbox/messaging/testing';

const ITEM = { productId: 'tea', quantity: 1 };

/** What customers and operators of payments do. */
export class Shop {
  private readonly ada;
  private readonly cashier;

  constructor(
    private readonly ordersUrl: string,
    paymentsUrl: string,
  ) {
    this.ada = this.customer('ada');
    this.cashier = createPaymentsClient({ baseUrl: paymentsUrl, devUser: { id: 'ops', roles: ['operator'] } });
  }

  /** Places an order, with a single attempt. Returns its id. */
  async place(): Promise<string> {
    return (await this.ada.createOrder({ items: [ITEM] }, { attempts: 1 })).id;
  }

  /** Places an order of a customer, and cancels it, so that the customer is notified. */
  async placeAndCancel(customer: string): Promise<void> {
    const client = this.customer(customer);
    const { id: orderId } = await client.createOrder({ items: [ITEM] });
    await client.cancelOrder({ orderId, reason: 'too late' });
  }

  /** Waits until the payment of an order is requested and order-service knows it. */
  async isPending(orderId: string): Promise<void> {
    const isPending = async () => (await this.ada.getOrder({ orderId })).status === 'PAYMENT_PENDING';
    await until('the order waits for its payment', isPending);
  }

  /** Waits for the payment request of an order. Returns its id. */
  async requestOf(orderId: string): Promise<string> {
    const requests = async () => (await this.cashier.listPaymentRequests({ orderId }).page()).items;
    return (await until('the payment is requested', async () => (await requests())[0])).id;
  }

  /** Pays an order and cancels it before order-service hears of the payment. Returns the payment request, which must be refunded. */
  async payAndCancel(): Promise<string> {
    const orderId = await this.place();
    const paymentRequestId = await this.requestOf(orderId);
    await this.cashier.markPaymentSucceeded({ paymentRequestId });
    await this.ada.cancelOrder({ orderId, reason: 'too late' });
    return paymentRequestId;
  }

  async statusOf(paymentRequestId: string): Promise<string> {
    return (await this.cashier.getPaymentRequest({ paymentRequestId })).status;
  }

  private customer(id: string) {
    return createOrdersClient({ baseUrl: this.ordersUrl, devUser: { id } });
  }
}
