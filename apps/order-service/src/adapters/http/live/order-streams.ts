import { Injectable, Logger } from '@nestjs/common';
import {
  type Caller,
  type EventStream,
  isOperator,
  openEventStream,
  problemDocument,
  problemOf,
  ProblemException,
  randomPause,
  SecurityEvents,
} from '@twinbox/api-kit';
import { type FastifyReply, type FastifyRequest } from 'fastify';
import { Allowance } from '../../../application/live/allowance.js';
import { Delivery } from '../../../application/live/delivery.js';
import { OpenTickets } from '../../../application/live/open-tickets.js';
import { FeedClosed } from '../../../application/live/ports.js';
import { type WatchedOrders } from '../../../application/live/resume-point.js';
import { type Subscriber } from '../../../application/live/subscribers.js';
import { OrderServiceConfig } from '../../../config.js';
import { idOf, resumePointOf } from './event-id.js';
import { liveProblems, type StreamRejection } from './live-problems.js';
import { eventClient, type LiveClient, listenerOn } from './stream-listener.js';
import { type Admission, StreamTickets } from './stream-tickets.js';

/** Per user and replica. A browser opens at most six connections to a host. */
const MAX_STREAMS = 20;
/** The shortest pause before an `EventSource` reconnects. */
const RETRY_MS = 1000;

/** Opens streams of events, within the limits of each user. */
@Injectable()
export class OrderStreams {
  private readonly logger = new Logger('OrderEvents');
  private readonly streams = new Allowance(MAX_STREAMS);
  private readonly backlogs: Allowance;

  constructor(
    private readonly delivery: Delivery,
    private readonly tickets: StreamTickets,
    private readonly openTickets: OpenTickets,
    private readonly events: SecurityEvents,
    { STREAM_BACKLOG }: OrderServiceConfig,
  ) {
    this.backlogs = new Allowance(STREAM_BACKLOG);
  }

  /** `connect` begins to answer, once the stream may be opened. What it adds to `held` is released when the stream ends. */
  async open(
    watched: WatchedOrders,
    admission: Admission,
    connect: (held: (() => void)[]) => LiveClient | Promise<LiveClient>,
  ): Promise<void> {
    const held: (() => void)[] = [];
    const leave = () => held.splice(0).forEach((release) => release());
    try {
      const { subscriber, caughtUp } = await this.enter(watched, admission, held);
      const client = await connect(held);
      client.onClose(leave);
      this.delivery.serve(subscriber, listenerOn(client, admission.caller, caughtUp)).catch((error: unknown) => {
        this.logger.error({ err: error }, 'A stream of events ended because of an unexpected error.');
        client.close();
      });
    } catch (error) {
      leave();
      throw error instanceof FeedClosed ? problemOf({ code: 'service-stopping' }, liveProblems) : error;
    }
  }

  /** Subscribes, and adds what must be released when the stream ends to `held`. */
  private async enter(
    watched: WatchedOrders,
    { caller, lastEventId, ticket }: Admission,
    held: (() => void)[],
  ): Promise<{ readonly subscriber: Subscriber; readonly caughtUp: () => void }> {
    const since = lastEventId === undefined ? undefined : resumePointOf(lastEventId);
    const startAgain = (rejection: StreamRejection) => this.startAgain(watched, ticket !== undefined, rejection);
    if (lastEventId !== undefined && !since) throw await startAgain({ code: 'event-unknown' });
    if (ticket?.resumes) this.openTickets.end(ticket.hash.toString('hex'));
    held.push(this.takeSeat(caller));
    const subscriber = await this.delivery.join(watched, since);
    if (!subscriber) throw await startAgain({ code: 'event-unknown' });
    held.push(() => subscriber.end());

    const { most } = this.backlogs;
    const missed = await this.delivery.missed(subscriber, most + 1);
    if (missed > most) throw await startAgain({ code: 'backlog-too-long', most });
    const caughtUp = this.backlogs.take(caller.userId, missed);
    if (!caughtUp) throw problemOf({ code: 'too-much-to-catch-up', most }, liveProblems);
    held.push(caughtUp);
    return { subscriber, caughtUp };
  }

  /**
   * Opens a stream of server-sent events. Uses the ticket, if there is one, only once nothing else can fail, so that an attempt that fails
   * before does not use it up.
   */
  async openEvents(watched: WatchedOrders, admission: Admission, reply: FastifyReply): Promise<void> {
    await this.open(watched, admission, async (held) => eventClient(await this.connect(admission, reply, held)));
  }

  private async connect(
    { caller, lastEventId, ticket }: Admission,
    reply: FastifyReply,
    held: (() => void)[],
  ): Promise<EventStream> {
    if (!ticket) return openEventStream(reply);
    const { request } = reply;
    const uses = await this.tickets.use(ticket, request);
    const stream = openEventStream(reply, caller.expiresAt);
    held.push(this.openTickets.begin(ticket.hash.toString('hex'), uses, () => this.endUsedAgain(stream, request)));
    stream.send({ retry: randomPause(RETRY_MS), ...(lastEventId !== undefined && { id: lastEventId }) });
    return stream;
  }

  private endUsedAgain(stream: EventStream, request: FastifyRequest): void {
    const { problem } = problemOf({ code: 'ticket-used-again' }, liveProblems);
    this.events.report(request, 'ticket-used-again', problem.title);
    stream.send({ event: 'expired', data: problemDocument(problem, request.id) });
    stream.close();
  }

  private takeSeat({ userId }: Caller): () => void {
    const leave = this.streams.take(userId, 1);
    if (!leave) throw problemOf({ code: 'too-many-streams', most: MAX_STREAMS }, liveProblems);
    return leave;
  }

  /** Returns the problem of a client that must load its data again. With a ticket, it then resumes from what is committed now. */
  private async startAgain(watched: WatchedOrders, byTicket: boolean, rejection: StreamRejection) {
    const exception = problemOf(rejection, liveProblems);
    const subscriber = byTicket ? await this.delivery.join(watched, undefined) : undefined;
    if (!subscriber) return exception;
    subscriber.end();
    const id = idOf(0, { seen: subscriber.from });
    return new ProblemException({ ...exception.problem, event: { name: 'reset', id } });
  }
}

export function ordersSeenBy(caller: Caller): WatchedOrders {
  return isOperator(caller) ? { all: true } : { customerId: caller.userId };
}
