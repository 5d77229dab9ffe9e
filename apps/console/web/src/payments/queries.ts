import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { type PaymentRequest, type PaymentsClient, type TimelineStep } from '@twinbox/client/payments';
import { useClients } from '../shared/clients.js';
import { Conditional } from '../shared/list/conditional.js';
import { useList } from '../shared/list/use-list.js';
import { filterOf, type PaymentsSearch } from './payments-search.js';

const LIVE_MS = 2000;
const PAGE = 100;
const conditional = new Conditional();

export const paymentsKey = ['payments'] as const;

/** The list of payments with these filters. */
export function usePayments(search: PaymentsSearch) {
  const { payments } = useClients();
  const filter = filterOf(search);
  return useList<PaymentRequest>({
    queryKey: [...paymentsKey, 'list', filter],
    refreshMs: LIVE_MS,
    load: async (cursor, options) =>
      payments
        .listPaymentRequests({ ...filter, limit: PAGE, ...(cursor !== undefined && { cursor }) }, options)
        .page()
        .answer(),
  });
}

/** One payment, which refreshes itself. */
export function paymentQuery(payments: PaymentsClient, paymentRequestId: string) {
  return queryOptions({
    queryKey: [...paymentsKey, 'one', paymentRequestId],
    queryFn: async ({ signal }) =>
      conditional.load<PaymentRequest>(paymentRequestId, async (headers) =>
        payments.getPaymentRequest({ paymentRequestId }, { headers, signal }).answer(),
      ),
    refetchInterval: LIVE_MS,
  });
}

/** Everything that happened to a payment. It is loaded again whenever the payment has another version. */
export function stepsQuery(payments: PaymentsClient, paymentRequestId: string, version: number) {
  return queryOptions({
    queryKey: [...paymentsKey, 'steps', paymentRequestId, version],
    queryFn: async ({ signal }): Promise<readonly TimelineStep[]> =>
      Array.fromAsync(payments.getTimeline({ paymentRequestId }, { signal })),
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  });
}
