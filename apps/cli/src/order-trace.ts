import { type AdminClient, type InboxRecord, type MessagesOfAggregate } from '@twinbox/client/admin';
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
/** The most ids that the API takes at once. */
const MOST_IDS = 90;

/** Returns what both services know of an order, the oldest first. @throws the problem of order-service if there is no such order */
export async function traceOrder(connections: Connections, orderId: string): Promise<Step[]> {
  const [timelines, ...messages] = await Promise.all([
    timelineSteps(connections, orderId),
    ...SERVICES.map((service) => connections.admin(service).getAggregateMessages({ id: orderId })),
  ]);
  const steps = SERVICES.map(async (service, n) => {
    const known = messages[n];
    if (!known) return [];
    const types = new Map(known.raised.map(({ id, type }) => [id, type]));
    const consumer = OTHER[service];
    const records = await recordsOf(connections.admin(consumer), [...types.keys()]);
    return [
      ...raisedSteps(service, known.raised),
      ...recordSteps(consumer, records, types, messages[SERVICES.indexOf(consumer)]?.held ?? []),
      ...heldSteps(service, known.held),
      ...jobSteps(service, known.jobs),
    ];
  });
  return [...timelines, ...(await Promise.all(steps)).flat()].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

interface TimelineEntry {
  readonly at: string;
  readonly type: string;
  readonly status: string | null;
  readonly actor: string;
  readonly cause: string | null;
}

async function timelineSteps({ orders, payments }: Connections, orderId: string): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const entry of orders.getTimeline({ orderId })) steps.push(timelineStep('orders', 'order', entry));
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
function raisedSteps(service: ServiceName, raised: MessagesOfAggregate['raised']): Step[] {
  return raised.flatMap(({ createdAt, type, position, id, state, error, consumed }): Step[] => [
    {
      at: createdAt,
      service,
      place: 'outbox',
      what: type,
      detail: `message ${id} at position ${position}, ${state}${error === null ? '' : `: ${error}`}`,
      ...(state !== 'published' && { mark: state }),
    },
    ...consumed.map(({ consumer, at }) => processed(service, { consumer, at, type, messageId: id })),
  ]);
}

/** When the consumers of the service processed messages of the other one. A held message has a record as well. */
function recordSteps(
  service: ServiceName,
  records: readonly InboxRecord[],
  types: ReadonlyMap<string, string>,
  held: MessagesOfAggregate['held'],
): Step[] {
  const isHeld = (record: InboxRecord) =>
    held.some(({ consumer, messageId }) => consumer === record.consumer && messageId === record.messageId);
  return records
    .filter((record) => !isHeld(record))
    .map(({ receivedAt, consumer, messageId }) =>
      processed(service, { consumer, at: receivedAt, type: types.get(messageId) ?? 'message', messageId }),
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
