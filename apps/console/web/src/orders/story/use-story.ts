import { useQueries, useQuery } from '@tanstack/react-query';
import { type Order } from '@twinbox/client/orders';
import { type PaymentRequest } from '@twinbox/client/payments';
import { useMemo } from 'react';
import { useClients } from '../../shared/clients.js';
import { messagesQuery } from '../../shared/messages-query.js';
import { stepsQuery as paymentStepsQuery } from '../../payments/queries.js';
import { stepsQuery } from '../queries.js';
import { type Account, storyOf } from './story.js';

/** The most that the administration looks up at once. */
const MOST_IDS = 90;
const noMessages = { raised: [], held: [], discarded: [], jobs: [] };

/** Loads what both services know about an order. */
export function useStory(order: Order, payment: PaymentRequest | null | undefined) {
  const { orders, payments, admin } = useClients();
  const orderSteps = useQuery(stepsQuery(orders, order.id, order.version));
  const paymentSteps = useQuery({
    ...paymentStepsQuery(payments, payment?.id ?? '', payment?.version ?? 0),
    enabled: payment !== null && payment !== undefined,
  });
  const [ofOrders, ofPayments] = useQueries({
    queries: [messagesQuery(admin, 'orders', order.id), messagesQuery(admin, 'payments', order.id)],
  });
  const receivedByOrders = useQuery(recordsQuery(admin, 'orders', ofPayments.data?.raised ?? []));
  const receivedByPayments = useQuery(recordsQuery(admin, 'payments', ofOrders.data?.raised ?? []));

  const story = useMemo(() => {
    const account = (
      lane: Account['lane'],
      steps: Account['steps'],
      own: typeof ofOrders.data,
      records: Account['records'],
    ) => ({
      lane,
      steps,
      messages: own ?? noMessages,
      records,
    });
    return storyOf(
      account('orders', orderSteps.data ?? [], ofOrders.data, receivedByOrders.data ?? []),
      account('payments', paymentSteps.data ?? [], ofPayments.data, receivedByPayments.data ?? []),
    );
  }, [
    orderSteps.data,
    paymentSteps.data,
    ofOrders.data,
    ofPayments.data,
    receivedByOrders.data,
    receivedByPayments.data,
  ]);
  const queries = [orderSteps, paymentSteps, ofOrders, ofPayments];
  return {
    story,
    error: queries.find(({ error }) => error)?.error ?? null,
    isPending: orderSteps.isPending,
    retry: async () => Promise.all(queries.map(async ({ refetch }) => refetch())),
  };
}

function recordsQuery(
  admin: ReturnType<typeof useClients>['admin'],
  service: Account['lane'],
  raised: readonly { readonly id: string }[],
) {
  const messageId = raised.map(({ id }) => id).slice(-MOST_IDS);
  return {
    queryKey: ['messages', service, 'records', messageId],
    queryFn: async ({ signal }: { readonly signal: AbortSignal }) =>
      (await admin(service).listInboxRecords({ messageId }, { signal })).items,
    enabled: messageId.length > 0,
    refetchInterval: 5000,
  };
}
