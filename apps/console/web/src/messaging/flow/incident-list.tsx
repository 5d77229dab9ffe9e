import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type Incident } from '@twinbox/client/admin';
import { useState } from 'react';
import { ConfirmDialog } from '../../shared/confirm-dialog.js';
import { Time } from '../../shared/time.js';
import { incidentsQuery } from '../queries.js';
import { useIsAdmin } from '../service.js';
import { REASON } from '../reason.js';
import { useAdmin, useRefresh } from '../use-messaging.js';

/** What has happened once and may have done damage. An admin acknowledges it after having looked. */
export function IncidentList() {
  const { admin, service } = useAdmin();
  const { data } = useQuery(incidentsQuery(admin, service));
  const items = data?.items ?? [];
  return items.length === 0 ? null : (
    <Stack gap="xs">
      {items.map((incident) => (
        <OneIncident key={incident.id} incident={incident} />
      ))}
    </Stack>
  );
}

function OneIncident({ incident }: { readonly incident: Incident }) {
  const { admin } = useAdmin();
  const isAdmin = useIsAdmin();
  const refresh = useRefresh();
  const [isOpen, setOpen] = useState(false);
  const { id, kind, subject, problem, occurrences, firstAt, lastAt } = incident;
  return (
    <Alert color="red" title={`Incident: ${kind} on ${subject}`}>
      <Text size="sm">{problem}</Text>
      <Group justify="space-between" mt="xs">
        <Text size="xs">
          {occurrences === 1 ? 'Once, ' : `${occurrences} times, first `}
          <Time relative at={firstAt} />
          {occurrences > 1 && (
            <>
              , last <Time relative at={lastAt} />
            </>
          )}
        </Text>
        {isAdmin && (
          <Button size="compact-sm" color="red" onClick={() => setOpen(true)}>
            Acknowledge
          </Button>
        )}
      </Group>
      {isOpen && (
        <ConfirmDialog
          title="Acknowledge this incident?"
          confirm="Acknowledge"
          reason={REASON}
          send={async (reason, idempotencyKey) => admin.acknowledgeIncident({ id, reason }, { idempotencyKey })}
          onDone={refresh}
          onClose={() => setOpen(false)}
        >
          <Text size="sm">Health no longer shows it. Repair the damage first: {problem}</Text>
        </ConfirmDialog>
      )}
    </Alert>
  );
}
