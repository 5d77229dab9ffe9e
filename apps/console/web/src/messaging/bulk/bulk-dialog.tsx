import { Button, Checkbox, Group, Modal, NumberInput, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type CreateOperationInput, type DryRun, type Operation } from '@twinbox/client/admin';
import { type SubmitEvent, useState } from 'react';
import { Failure } from '../../shared/failure.js';
import { Loading } from '../../shared/states.js';
import { useChange } from '../../shared/use-change.js';
import { useReturnedFocus } from '../../shared/use-returned-focus.js';
import { useAdmin } from '../use-messaging.js';
import { type BulkAction, nounOf, operationFilter, operationOf, type PageFilter, type Subject } from './bulk.js';
import { Preview } from './preview.js';

interface BulkDialogProps {
  readonly subject: Subject;
  readonly action: BulkAction;
  readonly filter: PageFilter;
  readonly onClose: () => void;
}

/** Counts first what an operation would change, then asks how and why. The operation then has a page of its own. */
export function BulkDialog({ subject, action, filter, onClose }: BulkDialogProps) {
  const { admin, service } = useAdmin();
  const kind = `${action}-${subject}` as const;
  const dryRun = useQuery({
    queryKey: ['dry-run', service, kind, filter],
    queryFn: async ({ signal }) =>
      (await admin.createOperation(
        { kind, filter: operationFilter(filter), options: { dryRun: true } },
        { signal },
      )) as DryRun,
    staleTime: Infinity,
    gcTime: 0,
  });
  const start = useStart();
  useReturnedFocus();
  // The operation would run all the same.
  const close = () => {
    if (!start.isPending) onClose();
  };
  const noun = nounOf(subject);
  const title = action === 'retry' ? `Retry ${noun}s` : `Discard ${noun}s for good`;
  return (
    <Modal
      opened
      onClose={close}
      returnFocus={false}
      size="lg"
      title={title}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {dryRun.data ? (
        <BulkForm subject={subject} action={action} filter={filter} found={dryRun.data} start={start} onClose={close} />
      ) : dryRun.error ? (
        <Failure error={dryRun.error} onRetry={dryRun.refetch} />
      ) : (
        <Loading what="Counting" />
      )}
    </Modal>
  );
}

/** Starts the operation, and goes to its page. */
function useStart() {
  const { admin, service } = useAdmin();
  const navigate = useNavigate();
  return useChange(
    async (input: CreateOperationInput, idempotencyKey) =>
      (await admin.createOperation(input, { idempotencyKey })) as Operation,
    async ({ id }) => navigate({ to: '/messaging/$service/operations/$id', params: { service, id } }),
  );
}

interface BulkFormProps extends BulkDialogProps {
  readonly found: DryRun;
  readonly start: ReturnType<typeof useStart>;
}

function BulkForm({ subject, action, filter, found, start, onClose }: BulkFormProps) {
  const [canary, setCanary] = useState(true);
  const [rate, setRate] = useState<number>();
  const [reason, setReason] = useState('');
  const isRetry = action === 'retry';
  const isReady = found.total > 0 && (isRetry || reason.trim() !== '');
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const { asOf } = found;
    if (isReady && !start.isPending)
      start.mutate(operationOf(subject, action, filter, { asOf, canary, ratePerSecond: rate, reason: reason.trim() }));
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        <Preview found={found} noun={nounOf(subject)} />
        {isRetry && (
          <Checkbox
            label="Canary"
            description="Retries 1, 2, 5, 10 and more a step, waits for them, and stops at the first one that fails again."
            checked={canary}
            onChange={(event) => setCanary(event.currentTarget.checked)}
          />
        )}
        <NumberInput
          label="At most per second"
          description="Empty: as fast as possible."
          min={1}
          max={100_000}
          allowDecimal={false}
          hideControls
          value={rate ?? ''}
          onChange={(value) => setRate(typeof value === 'number' && value > 0 ? value : undefined)}
        />
        <TextInput
          label="Reason"
          description="It is kept in the audit."
          required={!isRetry}
          maxLength={500}
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        {start.isError && <Failure error={start.error} />}
        <Group justify="space-between">
          <Text size="xs" c="dimmed">
            What matches only later is not part of it.
          </Text>
          <Group>
            <Button variant="default" disabled={start.isPending} onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" {...(!isRetry && { color: 'red' })} loading={start.isPending} disabled={!isReady}>
              {isRetry ? 'Retry' : 'Discard'} {found.total.toLocaleString('en')}
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}
