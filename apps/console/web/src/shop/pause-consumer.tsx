import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useClients } from '../shared/clients.js';
import { ConfirmDialog } from '../shared/confirm-dialog.js';

const KEY = ['demo', 'payment-consumer'];

/** Pauses what payment-service consumes, so that orders wait and the pictures show it. */
export function PauseConsumer() {
  const clients = useClients();
  const queries = useQueryClient();
  const payments = clients.admin('payments');
  const [isOpen, setOpen] = useState(false);
  const { data } = useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => (await payments.getMessagingOverview({ signal })).consumers[0] ?? null,
    refetchInterval: 5000,
  });
  if (!data) return null;
  const { consumer, paused } = data;
  const isPaused = paused !== null;
  const target = { kind: 'consumer', name: consumer } as const;
  return (
    <>
      <Button size="xs" variant={isPaused ? 'filled' : 'default'} onClick={() => setOpen(true)}>
        {isPaused ? 'Resume the payment consumer' : 'Pause the payment consumer'}
      </Button>
      {isOpen && (
        <ConfirmDialog
          title={isPaused ? 'Resume the payment consumer?' : 'Pause the payment consumer?'}
          confirm={isPaused ? 'Resume' : 'Pause'}
          {...(!isPaused && { reason: { label: 'Reason', maxLength: 500 } })}
          send={async (reason) =>
            isPaused ? payments.resumeProcessing(target) : payments.pauseProcessing({ ...target, reason })
          }
          onDone={async () => queries.invalidateQueries({ queryKey: KEY })}
          onClose={() => setOpen(false)}
        >
          {isPaused
            ? 'The orders that have been waiting are paid for.'
            : 'New orders stay “placed”, because nobody asks for their payment. Nothing is lost.'}
        </ConfirmDialog>
      )}
    </>
  );
}
