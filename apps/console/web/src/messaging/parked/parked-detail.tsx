import { useQuery } from '@tanstack/react-query';
import { Time } from '../../shared/time.js';
import { Attempts } from '../dead/attempts.js';
import { type Box } from '../dead/causes.js';
import { DetailDrawer, Section } from '../dead/detail-drawer.js';
import { Facts } from '../dead/facts.js';
import { Payload } from '../dead/payload.js';
import { parkedMessageQuery } from '../queries.js';
import { useAdmin } from '../use-messaging.js';
import { WaitsFor } from './waits-for.js';

interface ParkedDetailProps {
  readonly box: Box;
  readonly id: string;
  readonly onClose: () => void;
}

/** One parked message in full. */
export function ParkedDetail({ box, id, onClose }: ParkedDetailProps) {
  const { admin, service } = useAdmin();
  const query = useQuery(parkedMessageQuery(admin, service, box, id));
  return (
    <DetailDrawer title={`Parked message ${box}/${id}`} query={query} onClose={onClose}>
      {(message) => (
        <>
          <Section title="Message">
            <Facts
              facts={{
                Type: message.type,
                Key: message.key,
                'Message id': message.messageId,
                Topic: message.topic,
                Consumer: message.consumer,
                Attempts: message.attempts,
                Parked: <Time relative at={message.since} />,
                'Waits for': <WaitsFor message={message} />,
                Error: message.error,
              }}
            />
          </Section>
          <Section title="Payload">
            <Payload name="Payload" text={message.payload} raw={message.rawValue} />
          </Section>
          {message.headers && (
            <Section title="Headers">
              <Facts facts={message.headers} />
            </Section>
          )}
          <Section title="Failed attempts">
            <Attempts history={message.history} />
          </Section>
        </>
      )}
    </DetailDrawer>
  );
}
