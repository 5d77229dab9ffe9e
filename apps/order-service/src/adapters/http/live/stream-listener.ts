import { type Caller, type EventStream } from '@twinbox/api-kit';
import { type Listener } from '../../../application/live/delivery.js';
import { type FeedStep } from '../../../application/live/ports.js';
import { type ResumePoint } from '../../../application/live/resume-point.js';
import { type OrderEventDto, stepSeenBy } from '../order-timeline.dto.js';
import { idOf } from './event-id.js';

/** One name for all events, because a browser's `EventSource` must subscribe to each name in advance. */
const EVENT = 'order';

/** The client of a stream. Its methods never throw. */
export interface LiveClient {
  /** Sends a step, and the id from which the client resumes after it. Without a step, it only advances the resume point. */
  send(id: string, step?: OrderEventDto): void;
  drained(): Promise<void>;
  close(): void;
  onClose(listener: () => void): void;
  readonly closed: boolean;
}

export function eventClient(stream: EventStream): LiveClient {
  return {
    send: (id, data) => void stream.send(data ? { id, event: EVENT, data } : { id }),
    drained: () => stream.drained(),
    close: () => stream.close(),
    onClose: (listener) => stream.onClose(listener),
    get closed(): boolean {
      return stream.closed;
    },
  };
}

export function listenerOn(client: LiveClient, caller: Caller, caughtUp: () => void): Listener {
  let resumed = '';
  return {
    send(step: FeedStep, resume: ResumePoint): void {
      const id = idOf(step.position, resume);
      resumed = idOf(0, resume);
      client.send(id, { orderId: step.orderId, ...stepSeenBy(caller, step) });
    },
    mark(resume: ResumePoint): void {
      const id = idOf(0, resume);
      if (id === resumed) return;
      resumed = id;
      client.send(id);
    },
    ready: () => client.drained(),
    end: () => client.close(),
    caughtUp,
    get closed(): boolean {
      return client.closed;
    },
  };
}
