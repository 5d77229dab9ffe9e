import { Badge, Button, Card, Group, Progress, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { type Operation } from '@twinbox/client/admin';
import { useState } from 'react';
import { useNow } from '../../shared/clock.js';
import { ConfirmDialog } from '../../shared/confirm-dialog.js';
import { Failure } from '../../shared/failure.js';
import { Loading } from '../../shared/states.js';
import { Time } from '../../shared/time.js';
import { MessagingLayout } from '../layout.js';
import { Facts } from '../dead/facts.js';
import { operationQuery } from '../queries.js';
import { useIsAdmin } from '../service.js';
import { REASON } from '../reason.js';
import { useAdmin, useRefresh } from '../use-messaging.js';
import { COLORS } from './operation-state.js';
import { progressOf } from './progress.js';

const route = getRouteApi('/messaging/$service/operations/$id');

/** One operation and its progress, live until it has ended. */
export function OperationPage() {
  return (
    <MessagingLayout>
      <OneOperation />
    </MessagingLayout>
  );
}

function OneOperation() {
  const { id } = route.useParams();
  const { admin, service } = useAdmin();
  const { data, error, refetch } = useQuery(operationQuery(admin, service, id));
  if (!data) return error ? <Failure error={error} onRetry={refetch} /> : <Loading what="Loading" />;
  return (
    <Stack>
      {error && <Failure error={error} onRetry={refetch} />}
      <OperationCard operation={data} />
      <Facts facts={factsOf(data)} />
      <Group>
        <Link to="/messaging/$service/audit" params={{ service }} search={{ operation: id }}>
          What it has done, in the audit
        </Link>
        <Link to="/messaging/$service/operations" params={{ service }}>
          All operations
        </Link>
      </Group>
    </Stack>
  );
}

function OperationCard({ operation }: { readonly operation: Operation }) {
  const { percent, title, text, outcome } = progressOf(operation, useNow());
  const isAdmin = useIsAdmin();
  const [isOpen, setOpen] = useState(false);
  const isRunning = operation.state === 'running';
  return (
    <Card withBorder bg="var(--twinbox-surface)">
      <Group justify="space-between" mb="sm">
        <Group>
          <Title order={2} size="h4">
            {title}
          </Title>
          <Badge color={COLORS[outcome]} variant="light">
            {operation.state}
          </Badge>
        </Group>
        {isRunning && isAdmin && (
          <Button variant="outline" color="red" size="compact-sm" onClick={() => setOpen(true)}>
            Cancel the operation
          </Button>
        )}
      </Group>
      <Progress.Root size="lg">
        <Progress.Section
          value={percent}
          color={COLORS[outcome]}
          animated={isRunning}
          aria-label={`Progress of ${title}`}
        />
      </Progress.Root>
      <Text mt="xs" size="sm" role="status">
        {text}
      </Text>
      {isOpen && <CancelDialog id={operation.id} onClose={() => setOpen(false)} />}
    </Card>
  );
}

function CancelDialog({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const { admin } = useAdmin();
  return (
    <ConfirmDialog
      title="Cancel this operation?"
      confirm="Cancel the operation"
      isDestructive
      reason={REASON}
      send={async (reason, idempotencyKey) => admin.cancelOperation({ id, reason }, { idempotencyKey })}
      onDone={useRefresh()}
      onClose={onClose}
    >
      <Text size="sm">It stops now. What it has done remains.</Text>
    </ConfirmDialog>
  );
}

function factsOf({ id, filter, options, asOf, actor, reason, createdAt, finishedAt, cancelledBy }: Operation) {
  return {
    Id: id,
    Filter: JSON.stringify(filter),
    Options: JSON.stringify(options),
    'As of': <Time relative at={asOf} />,
    Actor: actor,
    Reason: reason,
    Created: <Time relative at={createdAt} />,
    Ended: finishedAt === null ? null : <Time relative at={finishedAt} />,
    'Cancelled by': cancelledBy,
  };
}
