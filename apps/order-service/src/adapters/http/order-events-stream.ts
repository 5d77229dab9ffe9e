import { type Caller, type EventStream } from '@twinbox/api-kit';
import { type Listener } from '../../application/order-feed-follower.js';
import { FeedSnapshot } from '../../application/order-feed-snapshot.js';
import { type FeedStep } from '../../application/order-feed-store.js';
import { actorSeenBy } from './order-timeline.dto.js';

/** The name of every event: a browser's `EventSource` hears only names that it knows beforehand. */
const EVENT = 'order';

/** `<position>_<snapshot>`: the one makes it unlike any other event's, the other tells where to go on. */
function idOf(position: number, resume: FeedSnapshot): string {
  return `${position.toString(36)}_${resume.toString()}`;
}

/** What a follower has seen who got the event of this id; undefined when there is no such event. */
export function seenWith(eventId: string): FeedSnapshot | undefined {
  const [, snapshot] = /^[\da-z]{1,11}_(.+)$/.exec(eventId) ?? [];
  return snapshot === undefined ? undefined : FeedSnapshot.parse(snapshot);
}

/** Tells one client, each step as they may see it. */
export function listenerOn(stream: EventStream, caller: Caller): Listener {
  let resumed = '';
  return {
    tell(step: FeedStep, resume: FeedSnapshot): void {
      const id = idOf(step.position, resume);
      resumed = resume.toString();
      const { orderId, type, status, version, at, cause, messageId, detail } = step;
      const actor = actorSeenBy(caller, step.actor);
      const data = { orderId, type, status, version, at, actor, cause, messageId, detail };
      stream.send({ id, event: EVENT, data });
    },
    mark(resume: FeedSnapshot): void {
      if (resume.toString() === resumed) return;
      resumed = resume.toString();
      // Without data: it moves the place where the client goes on, and fires no event.
      stream.send({ id: idOf(0, resume) });
    },
    ready: () => stream.drained(),
    get closed(): boolean {
      return stream.closed;
    },
  };
}
