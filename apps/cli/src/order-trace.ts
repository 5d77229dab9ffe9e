import { type AdminClient, type InboxRecord, type MessagesOfAggregate } from '@twinbox/client/admin';
import { isProblem } from '@twinbox/client/orders';
import { type Answers } from './answers.js';
import { type Connections, SERVICES, type ServiceName } from './connection.js';
import { counted, time } from './text.js';

/** One thing that happened to an order. */
export interface Step {
  readonly at: string;
  readonly service: ServiceName;
  /** Where it happened: the timeline of the order or its payment, the outbox, a consumer, or a job queue. */
  readonly place: string;
  readonly what: string;
  readonly detail: string;
  /** What needs attention: the message or job is not where it should be. */
  readonly mark?: 'unpublished' | 'parked' | 'dead';
}

const OTHER = { orders: 'payments', payments: 'orders' } as const;
/** The most ids that the API takes at once, as its OpenAPI document says. */
const MOST_IDS = 90;

/**
 * Returns what the services that answer know of an order, the oldest first.
 * @throws the problem of order-service if there is no such order
 */
export async function traceOrder(connections: Connections, answers: Answers, orderId: string): Promise<Step[]> {
  const ask = (service: ServiceName) =>
    answers.from(service, async () => connections.admin(service).getAggregateMessages({ id: orderId }));
  const [ofOrder, ofPayment, ...raised] = await Promise.all([
    answers.from('orders', () => orderSteps(connections, orderId), isMissing),
    answers.from('payments', () => paymentSteps(connections, orderId)),
    ...SERVICES.map(ask),
  ]);
  const ofServices = SERVICES.map(async (service, n): Promise<Step[]> => {
    const types = new Map(raised[SERVICES.indexOf(OTHER[service])]?.raised.map(({ id, type }) => [id, type]));
    const records = await answers.from(service, () => recordsOf(connections.admin(service), [...types.keys()]));
    // Again, because a message that was recorded in the meantime may be parked.
    const known = raised[n] && (await ask(service));
    if (!known) return [];
    return [
      ...raisedSteps(service, known),
      ...recordSteps(service, records ?? [], types, known),
      ...heldSteps(service, known.held),
      ...discardedSteps(service, known.discarded),
      ...jobSteps(service, known.jobs),
    ];
  });
  const all = [...(ofOrder ?? []), ...(ofPayment ?? []), ...(await Promise.all(ofServices)).flat()];
  return all.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

const isMissing = (error: unknown) => isProblem(error, 'order-not-found');

interface TimelineEntry {
  readonly at: string;
  readonly type: string;
  readonly status: string | null;
  readonly actor: string;
  readonly cause: string | null;
}

async function orderSteps({ orders }: Connections, orderId: string): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const entry of orders.getTimeline({ orderId })) steps.push(timelineStep('orders', 'order', entry));
  return steps;
}

async function paymentSteps({ payments }: Connections, orderId: string): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const { id: paymentRequestId } of payments.listPaymentRequests({ orderId }))
    for await (const entry of payments.getTimeline({ paymentRequestId }))
      steps.push(timelineStep('payments', 'payment', entry));
  return steps;
}

function timelineStep(service: ServiceName, place: string, { at, type, status, actor, cause }: TimelineEntry): Step {
  const what = status === null ? type : `${type} → ${status}`;
  return { at, service, place, what, detail: `by ${actor}${cause === null ? '' : `, because of ${cause}`}` };
}

/** The messages that the service has raised, and when its own consumers processed them. */
function raisedSteps(service: ServiceName, known: MessagesOfAggregate): Step[] {
  return known.raised.flatMap(({ createdAt, type, position, id, state, error, consumed }): Step[] => [
    {
      at: createdAt,
      service,
      place: 'outbox',
      what: type,
      detail: `message ${id} at position ${position}, ${state}${error === null ? '' : `: ${error}`}`,
      ...(state !== 'published' && { mark: state }),
    },
    ...consumed
      .filter(({ consumer }) => isProcessed(known, { consumer, messageId: id }))
      .map(({ consumer, at }) => processed(service, { consumer, at, type, messageId: id })),
  ]);
}

/** When the consumers of the service processed messages of the other one. */
function recordSteps(
  service: ServiceName,
  records: readonly InboxRecord[],
  types: ReadonlyMap<string, string>,
  known: MessagesOfAggregate,
): Step[] {
  return records
    .filter((record) => isProcessed(known, record))
    .map(({ receivedAt, consumer, messageId }) =>
      processed(service, { consumer, at: receivedAt, type: types.get(messageId) ?? 'message', messageId }),
    );
}

/** Whether a recorded message was processed. A parked, dead or discarded one has a record as well, so that another delivery is dropped. */
function isProcessed(
  { held, discarded }: Pick<MessagesOfAggregate, 'held' | 'discarded'>,
  of: { readonly consumer: string; readonly messageId: string },
): boolean {
  return ![...held, ...discarded].some(
    ({ consumer, messageId }) => consumer === of.consumer && messageId === of.messageId,
  );
}

function processed(service: ServiceName, of: { consumer: string; at: string; type: string; messageId: string }): Step {
  const { consumer, at, type, messageId } = of;
  return { at, service, place: consumer, what: `${type} processed`, detail: `message ${messageId}` };
}

function heldSteps(service: ServiceName, held: MessagesOfAggregate['held']): Step[] {
  return held.map(({ id, consumer, type, attempts, error, parkedAt, nextAttemptAt, diedAt }) => {
    const state = diedAt === null ? 'parked message' : 'dead letter';
    const reason = error ?? 'it waits for an earlier message';
    const next = nextAttemptAt === null ? '' : `, next at ${time(nextAttemptAt)}`;
    return {
      at: diedAt ?? parkedAt,
      service,
      place: consumer,
      what: type ?? 'unreadable message',
      detail: `${state} ${service}/inbox/${id} after ${counted(attempts, 'attempt')}${next}: ${reason}`,
      mark: diedAt === null ? 'parked' : 'dead',
    };
  });
}

function discardedSteps(service: ServiceName, discarded: MessagesOfAggregate['discarded']): Step[] {
  return discarded.map(({ consumer, messageId, type, at, actor }) => ({
    at,
    service,
    place: consumer,
    what: `${type ?? 'unreadable message'} discarded`,
    detail: `message ${messageId ?? '-'}, by ${actor}`,
  }));
}

function jobSteps(service: ServiceName, jobs: MessagesOfAggregate['jobs']): Step[] {
  return jobs.map(({ id, queue, attempts, error, createdAt, runAt, running, diedAt }) => {
    const state = diedAt === null ? (running ? 'running' : `due ${time(runAt)}`) : 'dead';
    return {
      at: diedAt ?? createdAt,
      service,
      place: `queue ${queue}`,
      what: `job ${state}`,
      detail: `${service}/${id}, ${counted(attempts, 'attempt')}${error === null ? '' : `: ${error}`}`,
      ...(diedAt !== null && { mark: 'dead' as const }),
    };
  });
}

async function recordsOf(admin: AdminClient, ids: readonly string[]): Promise<readonly InboxRecord[]> {
  const records: InboxRecord[] = [];
  for (let from = 0; from < ids.length; from += MOST_IDS)
    records.push(...(await admin.listInboxRecords({ messageId: ids.slice(from, from + MOST_IDS) })).items);
  return records;
}
