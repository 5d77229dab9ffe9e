import { Alert, Text } from '@mantine/core';
import { type PaymentRequest } from '@twinbox/client/payments';
import { useState } from 'react';
import { Icon } from '../shared/icon.js';
import { Time } from '../shared/time.js';
import { useSession } from '../shell/session.js';
import { decisionText } from './decision.js';
import { useOwnDecisions } from './own-decisions.js';

/** Reports a change that somebody else made while this person looked at the payment. */
export function DecidedNotice({ payment }: { readonly payment: PaymentRequest }) {
  const { user } = useSession();
  const { isOwn } = useOwnDecisions();
  const [seen] = useState(payment.version);
  const isNews = payment.version !== seen && !isOwn(payment);
  // The region is there before its text, because otherwise screen readers may not announce it.
  return (
    <div role="status">
      {isNews && (
        <Alert color="yellow" icon={<Icon name="alert" />} title="The payment has changed while you looked at it">
          <Text size="sm">
            {decisionText(payment, user.id)} (<Time at={payment.updatedAt} />)
          </Text>
        </Alert>
      )}
    </div>
  );
}
