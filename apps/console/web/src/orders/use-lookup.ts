import { useNavigate } from '@tanstack/react-router';
import { isProblem } from '@twinbox/client';
import { useClients } from '../shared/clients.js';
import { isUuid } from '../shared/filters/lookup-box.js';

/** Returns a function that goes to what an id names: an order, the order of a payment, or the orders of a customer. */
export function useLookup(): (id: string) => Promise<void> {
  const { orders, payments } = useClients();
  const navigate = useNavigate();

  async function orderOf(id: string): Promise<string | undefined> {
    try {
      return (await orders.getOrder({ orderId: id })).id;
    } catch (error) {
      if (!isProblem(error, 'order-not-found')) throw error;
    }
    try {
      return (await payments.getPaymentRequest({ paymentRequestId: id })).orderId;
    } catch (error) {
      if (!isProblem(error, 'payment-request-not-found')) throw error;
      return undefined;
    }
  }

  return async (text) => {
    const id = isUuid(text) ? await orderOf(text.toLowerCase()) : undefined;
    if (id !== undefined) return navigate({ to: '/orders/$id', params: { id } });
    return navigate({ to: '/orders', search: { customerId: text } });
  };
}
