import { Link } from '@tanstack/react-router';
import { type ParkedMessage } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';
import { useService } from '../service.js';

/** What a parked message waits for: a dead letter, an earlier message, or its next attempt. */
export function WaitsFor({ message }: { readonly message: Pick<ParkedMessage, 'box' | 'waitsFor' | 'nextAttemptAt'> }) {
  const service = useService();
  const { box, waitsFor, nextAttemptAt } = message;
  if (waitsFor?.dead)
    return (
      <Link to="/messaging/$service/dead-letters" params={{ service }} search={{ box, letter: waitsFor.id }}>
        dead letter {box}/{waitsFor.id}
      </Link>
    );
  if (waitsFor)
    return (
      <Link to="/messaging/$service/parked" params={{ service }} search={{ box, message: waitsFor.id }}>
        message {box}/{waitsFor.id}
      </Link>
    );
  return nextAttemptAt === null ? (
    'the relay'
  ) : (
    <>
      an attempt, <Time relative at={nextAttemptAt} />
    </>
  );
}
