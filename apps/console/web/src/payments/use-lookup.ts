import { useNavigate } from '@tanstack/react-router';
import { isProblem } from '@twinbox/client/payments';
import { useClients } from '../shared/clients.js';
import { isUuid } from '../shared/filters/lookup-box.js';

/** Returns a function that goes to what an id names: a payment, the payments of an order, or those of a customer. */
export function useLookup(): (id: string) => Promise<void> {
  const { payments } = useClients();
  const navigate = useNavigate();

  async function paymentOf(id: string): Promise<string | undefined> {
    try {
      return (await payments.getPaymentRequest({ paymentRequestId: id })).id;
    } catch (error) {
      if (!isProblem(error, 'payment-request-not-found')) throw error;
    }
    const { items } = await payments.listPaymentRequests({ orderId: id, limit: 2 }).page();
    return items.length === 1 ? items[0]?.id : undefined;
  }

  return async (text) => {
    const id = isUuid(text) ? await paymentOf(text.toLowerCase()) : undefined;
    if (id !== undefined) return navigate({ to: '/payments/$id', params: { id }, search: { status: ['ANY'] } });
    const filter = isUuid(text) ? { orderId: text.toLowerCase() } : { customerId: text };
    return navigate({ to: '/payments', search: { status: ['ANY'], ...filter } });
  };
}
