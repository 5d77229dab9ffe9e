import { useNavigate } from '@tanstack/react-router';
import { type CreateOperationInput, type DryRun, type Operation } from '@twinbox/client/admin';
import { Stack, Text } from '@mantine/core';
import { Preview } from '../bulk/preview.js';
import { ConfirmDialog } from '../../shared/confirm-dialog.js';
import { REASON } from '../reason.js';
import { useAdmin } from '../use-messaging.js';

interface ReplayDialogProps {
  readonly replay: Pick<CreateOperationInput, 'kind' | 'filter' | 'options'>;
  readonly found: DryRun;
  readonly onClose: () => void;
}

/** Asks before what the dry run has found is published again. */
export function ReplayDialog({ replay, found, onClose }: ReplayDialogProps) {
  const { admin, service } = useAdmin();
  const navigate = useNavigate();
  const topic = replay.options?.topic;
  const send = async (reason: string, idempotencyKey: string) => {
    const options = { ...replay.options, asOf: found.asOf };
    const input = { ...replay, options, reason };
    return (await admin.createOperation(input, { idempotencyKey })) as Operation;
  };
  return (
    <ConfirmDialog
      title="Publish these messages again?"
      confirm={`Replay ${found.total.toLocaleString('en')}`}
      isDestructive
      reason={REASON}
      send={send}
      onDone={async ({ id }) => navigate({ to: '/messaging/$service/operations/$id', params: { service, id } })}
      onClose={onClose}
    >
      <Stack gap="xs">
        <Preview found={found} noun="message" />
        <Text size="sm">
          {topic === undefined ? 'They go to their own topic, which consumers read.' : `They go to ${topic}.`}
        </Text>
      </Stack>
    </ConfirmDialog>
  );
}
