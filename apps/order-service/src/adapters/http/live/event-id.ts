import { type Caller, type EventStream } from '@twinbox/api-kit';
import { type Listener } from '../../../application/live/delivery.js';
import { type FeedPlace } from '../../../application/live/place.js';
import { FeedSnapshot, MAX_OPEN_IN_WALK } from '../../../application/live/resume-point.js';
import { type FeedStep } from '../../../application/live/ports.js';
import { stepSeenBy } from '../order-timeline.dto.js';

/** One name for all events, because a browser's `EventSource` must subscribe to each name in advance. */
const EVENT = 'order';

/**
 * `<position>_<snapshot>`: the position makes the id unique, the snapshot says where to resume. During a walk it is
 * `<position>_<snapshot>_<snapshot at the end of the walk>_<c or o><order>`, with the position reached by the walk.
 */
function idOf(position: number, { seen, walk }: FeedPlace): string {
  if (!walk) return `${position.toString(36)}_${seen.toString()}`;
  const [from, upTo] = [seen, walk.upTo].map((snapshot) => snapshot.toString(MAX_OPEN_IN_WALK));
  return `${walk.position.toString(36)}_${from}_${upTo}_${walk.over === 'customer' ? 'c' : 'o'}${walk.orderId}`;
}

const ID = /^([\da-z]{1,11})_([\da-z.]+)(?:_([\da-z.]+)_([co])([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}))?$/;

/** Parses the id of an event into the place of a client that has received it; undefined if the id is invalid. */
export function placeWith(eventId: string): FeedPlace | undefined {
  const [, position = '', from = '', to, over, orderId = ''] = ID.exec(eventId.toLowerCase()) ?? [];
  const seen = FeedSnapshot.parse(from);
  const point = { orderId, position: Number.parseInt(position, 36) };
  if (!seen || to === undefined) return seen && { seen, position: point.position };
  const upTo = FeedSnapshot.parse(to);
  if (!upTo || !Number.isSafeInteger(point.position)) return undefined;
  return { seen, walk: { over: over === 'c' ? 'customer' : 'order', upTo, ...point } };
}

export function listenerOn(stream: EventStream, caller: Caller): Listener {
  let resumed = '';
  return {
    send(step: FeedStep, resume: FeedPlace): void {
      const id = idOf(step.position, resume);
      resumed = idOf(0, resume);
      stream.send({ id, event: EVENT, data: { orderId: step.orderId, ...stepSeenBy(caller, step) } });
    },
    mark(resume: FeedPlace): void {
      const id = idOf(0, resume);
      if (id === resumed) return;
      resumed = id;
      // Without data, it only advances the place to resume from and fires no event.
      stream.send({ id });
    },
    ready: () => stream.drained(),
    end: () => stream.close(),
    get closed(): boolean {
      return stream.closed;
    },
  };
}
