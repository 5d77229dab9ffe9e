import { type Caller, type EventStream } from '@twinbox/api-kit';
import { type Listener } from '../../../application/live/delivery.js';
import { type FeedStep } from '../../../application/live/ports.js';
import { type ResumePoint } from '../../../application/live/resume-point.js';
import { stepSeenBy } from '../order-timeline.dto.js';
import { idOf } from './event-id.js';

/** One name for all events, because a browser's `EventSource` must subscribe to each name in advance. */
const EVENT = 'order';

export function listenerOn(stream: EventStream, caller: Caller, caughtUp: () => void): Listener {
  let resumed = '';
  return {
    send(step: FeedStep, resume: ResumePoint): void {
      const id = idOf(step.position, resume);
      resumed = idOf(0, resume);
      stream.send({ id, event: EVENT, data: { orderId: step.orderId, ...stepSeenBy(caller, step) } });
    },
    mark(resume: ResumePoint): void {
      const id = idOf(0, resume);
      if (id === resumed) return;
      resumed = id;
      // Without data, it only advances the resume point and fires no event.
      stream.send({ id });
    },
    ready: () => stream.drained(),
    end: () => stream.close(),
    caughtUp,
    get closed(): boolean {
      return stream.closed;
    },
  };
}
