import { Alert, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { isProblem } from '@twinbox/client/payments';
import { useEffect } from 'react';
import { useClients } from '../shared/clients.js';
import { Icon } from '../shared/icon.js';
import { Loading } from '../shared/states.js';
import { Time } from '../shared/time.js';
import { useSession } from '../shell/session.js';
import { decisionText } from './decision.js';
import { paymentQuery } from './queries.js';

/** Whether somebody else changed the payment first. */
export function wasOvertaken(error: unknown): boolean {
  return isProblem(error, 'payment-already-decided', 'version-conflict', 'refund-not-due');
}

/** Says who was faster, and how they decided. */
export function Overtaken({ paymentRequestId }: { readonly paymentRequestId: string }) {
  const { payments } = useClients();
  const { user } = useSession();
  const query = paymentQuery(payments, paymentRequestId);
  const queries = useQueryClient();
  const { data, isFetching } = useQuery(query);
  useEffect(() => {
    void queries.invalidateQueries({ queryKey: query.queryKey });
    // Once, when the dialog says that somebody was faster.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  if (!data || (isFetching && data.status === 'PENDING')) return <Loading what="Loading the payment" />;
  return (
    <Alert role="alert" color="yellow" icon={<Icon name="alert" />} title="Somebody was faster">
      <Text size="sm">
        {decisionText(data, user.id)} (<Time at={data.updatedAt} />)
      </Text>
      <Text size="sm">Your decision was not applied.</Text>
    </Alert>
  );
}
