import { Alert } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type WholeInboxLetter, type WholeOutboxLetter } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';
import { counted } from '../flow/flow.js';
import { letterQuery } from '../queries.js';
import { useAdmin } from '../use-messaging.js';
import { Attempts } from './attempts.js';
import { type Box } from './causes.js';
import { DetailDrawer, Section } from './detail-drawer.js';
import { Facts } from './facts.js';
import { ItemActions } from './item-actions.js';
import { Payload } from './payload.js';

interface LetterDetailProps {
  readonly box: Box;
  readonly id: string;
  readonly onDone: (what: string) => void;
  readonly onClose: () => void;
}

/** One dead letter: what it says, how its attempts failed, what waits behind it, and what can be done. */
export function LetterDetail({ box, id, onDone, onClose }: LetterDetailProps) {
  const { admin, service } = useAdmin();
  const query = useQuery(letterQuery(admin, service, box, id));
  const calls = {
    retry: async (idempotencyKey: string) => admin.retryDeadLetter({ box, id }, { idempotencyKey }),
    discard: async (reason: string, idempotencyKey: string) =>
      admin.discardDeadLetter({ box, id, reason }, { idempotencyKey }),
    edit: async (payload: string, reason: string, idempotencyKey: string) =>
      admin.editDeadLetter({ box, id, payload, reason }, { idempotencyKey }),
  };
  return (
    <DetailDrawer title={`Dead letter ${box}/${id}`} query={query} onClose={onClose}>
      {(letter) => (
        <>
          <Alert color="red" title={letter.error} />
          <ItemActions noun="dead letter" content={letter.payload} calls={calls} effects={EFFECTS} onDone={onDone} />
          <Section title="Message">
            <Facts facts={factsOf(letter)} />
          </Section>
          <Section title="Payload">
            <Payload name="Payload" text={letter.payload} raw={letter.box === 'inbox' ? letter.rawValue : null} />
          </Section>
          {letter.box === 'inbox' && (
            <Section title="Headers">
              <Facts facts={letter.headers} />
            </Section>
          )}
          <Section title="Failed attempts">
            <Attempts history={letter.history} />
          </Section>
        </>
      )}
    </DetailDrawer>
  );
}

const EFFECTS = {
  retry: 'It is processed now, before the messages that wait behind it. Its attempts count from zero.',
  discard: 'Its content is lost, and no handler ever gets it. The messages that wait behind it are processed at once.',
};

function factsOf(letter: WholeInboxLetter | WholeOutboxLetter) {
  const { type, key, messageId, topic, diedAt, waiting } = letter;
  const common = {
    Type: type,
    Key: key,
    'Message id': messageId,
    Topic: topic,
    Died: <Time relative at={diedAt} />,
    'Waits behind it': counted(waiting, 'message'),
  };
  return letter.box === 'inbox'
    ? {
        ...common,
        Consumer: letter.consumer,
        Position: `partition ${letter.partition}, offset ${letter.offset}`,
        Attempts: letter.attempts,
        Recorded: <Time relative at={letter.recordedAt} />,
        Parked: <Time relative at={letter.parkedAt} />,
      }
    : {
        ...common,
        Aggregate: `${letter.aggregateType}, version ${letter.sequence}`,
        Written: <Time relative at={letter.createdAt} />,
      };
}
