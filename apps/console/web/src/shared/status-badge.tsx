import { Badge } from '@mantine/core';

/** Each status with the colour of what it means for the person who looks: green is done, red needs a look, gray is over. */
const STATUSES = {
  DRAFT: { label: 'Draft', color: 'gray' },
  PLACED: { label: 'Placed', color: 'blue' },
  PAYMENT_PENDING: { label: 'Waiting for payment', color: 'yellow' },
  COMPLETED: { label: 'Completed', color: 'green' },
  FINISHED: { label: 'Finished', color: 'pine' },
  CANCELLED: { label: 'Cancelled', color: 'gray' },
  PENDING: { label: 'Pending', color: 'yellow' },
  SUCCEEDED: { label: 'Succeeded', color: 'green' },
  FAILED: { label: 'Failed', color: 'red' },
  REFUND_PENDING: { label: 'Refund pending', color: 'orange' },
  REFUNDED: { label: 'Refunded', color: 'blue' },
} as const;

/** A status of an order or a payment. */
export type Status = keyof typeof STATUSES;

export function statusLabel(status: Status): string {
  return STATUSES[status].label;
}

/** The status of an order or a payment. */
export function StatusBadge({ status }: { readonly status: Status }) {
  const { label, color } = STATUSES[status];
  return (
    <Badge color={color} variant="light" miw="max-content">
      {label}
    </Badge>
  );
}

/** Marks an order that has waited for too long. */
export function LateBadge() {
  return (
    <Badge color="red" variant="light" miw="max-content">
      Late
    </Badge>
  );
}
