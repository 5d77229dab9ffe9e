import { type PaymentRequest } from '@twinbox/client/payments';
import { CopyableId } from '../shared/copyable-id.js';
import { Facts } from '../shared/facts.js';
import { Time } from '../shared/time.js';

/** What is known about a payment by itself. */
export function PaymentFacts({ payment }: { readonly payment: PaymentRequest }) {
  const { id, customerId, gateway, status, reason, decidedBy, createdAt, updatedAt, expiresAt, version } = payment;
  return (
    <Facts
      facts={[
        ['Id', <CopyableId key="id" id={id} of="payment" />],
        ['Customer', customerId],
        ['Gateway', gateway],
        ['Requested', <Time key="at" at={createdAt} />],
        status === 'PENDING'
          ? ['Expires', <Time key="at" at={expiresAt} relative />]
          : ['Changed', <Time key="at" at={updatedAt} />],
        ['Decided by', decidedBy],
        ['Reason', reason],
        ['Version', version],
      ]}
    />
  );
}
