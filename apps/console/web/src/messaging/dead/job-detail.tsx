import { Alert } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Time } from '../../shared/time.js';
import { jobQuery } from '../queries.js';
import { useAdmin } from '../use-messaging.js';
import { Attempts } from './attempts.js';
import { DetailDrawer, Section } from './detail-drawer.js';
import { Facts } from './facts.js';
import { ItemActions } from './item-actions.js';
import { Payload } from './payload.js';

interface JobDetailProps {
  readonly id: string;
  readonly onDone: (what: string) => void;
  readonly onClose: () => void;
}

/** One dead job: its data, how its attempts failed, and what can be done. */
export function JobDetail({ id, onDone, onClose }: JobDetailProps) {
  const { admin, service } = useAdmin();
  const query = useQuery(jobQuery(admin, service, id));
  const calls = {
    retry: async (idempotencyKey: string) => admin.retryDeadJob({ id }, { idempotencyKey }),
    discard: async (reason: string, idempotencyKey: string) => admin.discardDeadJob({ id, reason }, { idempotencyKey }),
    edit: async (data: string, reason: string, idempotencyKey: string) =>
      admin.editDeadJob({ id, data, reason }, { idempotencyKey }),
  };
  return (
    <DetailDrawer title={`Dead job ${id}`} query={query} onClose={onClose}>
      {({ error, queue, attempts, createdAt, diedAt, data, history }) => (
        <>
          <Alert color="red" title={error} />
          <ItemActions noun="dead job" content={JSON.stringify(data)} calls={calls} effects={EFFECTS} onDone={onDone} />
          <Section title="Job">
            <Facts
              facts={{
                Queue: queue,
                Attempts: attempts,
                Created: <Time relative at={createdAt} />,
                Died: <Time relative at={diedAt} />,
              }}
            />
          </Section>
          <Section title="Data">
            <Payload name="Data" text={JSON.stringify(data)} />
          </Section>
          <Section title="Failed attempts">
            <Attempts history={history} />
          </Section>
        </>
      )}
    </DetailDrawer>
  );
}

const EFFECTS = {
  retry: 'It runs as soon as a process is free. Its attempts count from zero.',
  discard: 'It is deleted, and never runs.',
};
