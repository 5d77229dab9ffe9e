import { Text } from '@mantine/core';
import { type PaymentRequest } from '@twinbox/client/payments';
import { Card } from '../shared/card.js';
import { shortId } from '../shared/copyable-id.js';
import { Facts } from '../shared/facts.js';
import { Failure } from '../shared/failure.js';
import { Loading } from '../shared/states.js';
import { PageLink } from '../shared/page-link.js';
import { StatusBadge } from '../shared/status-badge.js';
import { Time } from '../shared/time.js';

interface PaymentCardProps {
  /** Null if payment-service does not know the order. */
  readonly payment: PaymentRequest | null | undefined;
  readonly error: unknown;
  readonly onRetry: () => unknown;
}

/** The payment of an order, as payment-service has it. */
export function PaymentCard({ payment, error, onRetry }: PaymentCardProps) {
  return (
    <Card title="Payment" aside={payment && <PaymentLink id={payment.id} />}>
      {Boolean(error) && <Failure error={error} onRetry={onRetry} />}
      {payment === undefined && !error && <Loading what="Loading the payment" />}
      {payment === null && (
        <Text size="sm" c="dimmed">
          Payment-service has no payment request for this order.
        </Text>
      )}
      {payment && (
        <Facts
          facts={[
            ['Status', <StatusBadge key="status" status={payment.status} />],
            ['Decided by', payment.decidedBy],
            ['Reason', payment.reason],
            ['Expires', payment.status === 'PENDING' && <Time at={payment.expiresAt} relative />],
          ]}
        />
      )}
    </Card>
  );
}

function PaymentLink({ id }: { readonly id: string }) {
  return (
    <PageLink to="/payments/$id" params={{ id }} search={{ status: ['ANY'] }} size="sm">
      {`Payment ${shortId(id)}`}
    </PageLink>
  );
}
