import { type Administration, type AggregateMessages, type InboxRecord } from './administration.js';
import { type Connections, type ServiceName } from './connection.js';

/** One thing that happened to an order, or that should happen to it. */
export interface Step {
  readonly at: string;
  readonly service: ServiceName;
  /** Where it happened: the timeline of the order or its payment, the outbox, a consumer, or a job queue. */
  readonly place: string;
  readonly what: string;
  readonly detail?: string | undefined;
  readonly messageId?: string | undefined;
  /** What needs attention: the message or job is not where it should be. */
  readonly mark?: 'unpublished' | 'parked' | 'dead' | undefined;
}

const OTHER = { orders: 'payments', payments: 'orders' } as const;
/** The most ids that the API takes at once. */
const MOST_IDS = 100;

/** Returns what both services know of an order, the oldest first. @throws the problem of order-service if there is no such order */
export async function traceOrder(connections: Connections, orderId: string): Promise<Step[]> {
  const [timelines, orders, payments] = await Promise.all([
    timelineSteps(connections, orderId),
    connections.admin('orders').getAggregateMessages({ id: orderId }),
    connections.admin('payments').getAggregateMessages({ id: orderId }),
  ]);
  const messages = { orders, payments };
  const steps = await Promise.all(
    (['orders', 'payments'] as const).map(async (service) => {
      const published = messages[service].outbox;
      const consumer = OTHER[service];
      const records = await recordsOf(
        connections.admin(consumer),
        published.map(({ id }) => id),
      );
      const types = new Map(published.map(({ id, type }) => [id, type]));
      return [...messageSteps(service, messages[service]), ...recordSteps(consumer, records, types)];
    }),
  );
  return [...timelines, ...steps.flat()].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

async function timelineSteps({ orders, payments }: Connections, orderId: string): Promise<Step[]> {
  const steps: Step[] = [];
  for await (const { at, type, status, actor, cause, messageId } of orders.getTimeline({ orderId }))
    steps.push(timelineStep('orders', 'order', { at, type, status, actor, cause, messageId }));
  for await (const { id: paymentRequestId } of payments.listPaymentRequests({ orderId }))
    for await (const { at, type, status, actor, cause, messageId } of payments.getTimeline({ paymentRequestId }))
      steps.push(timelineStep('payments', 'payment', { at, type, status, actor, cause, messageId }));
  return steps;
}

interface TimelineEntry {
  readonly at: string;
  readonly type: string;
  readonly status: string | null;
  readonly actor: string;
  readonly cause: string | null;
  readonly messageId: string | null;
}

function timelineStep(
  service: ServiceName,
  place: string,
  { at, type, status, actor, cause, messageId }: TimelineEntry,
): Step {
  const detail = `by ${actor}${cause === null ? '' : `, because of ${cause}`}`;
  return {
    at,
    service,
    place,
    what: status === null ? type : `${type} → ${status}`,
    detail,
    ...(messageId !== null && { messageId }),
  };
}

function messageSteps(service: ServiceName, { outbox, parked, deadLetters, jobs }: AggregateMessages): Step[] {
  return [
    ...outbox.map(({ createdAt, type, position, id, published }): Step => ({
      at: createdAt,
      service,
      place: 'outbox',
      what: type,
      detail: `message ${id} at position ${position}${published ? '' : ', not published yet'}`,
      messageId: id,
      mark: published ? undefined : 'unpublished',
    })),
    ...parked.map(({ parkedAt, box, id, type, consumer, waitsFor, error }): Step => ({
      at: parkedAt,
      service,
      place: consumer ?? box,
      what: type ?? 'unreadable message',
      detail: `parked as ${service}/${box}/${id}: ${error ?? waitsFor ?? 'waits'}`,
      mark: 'parked',
    })),
    ...deadLetters.map((letter): Step => ({
      at: letter.diedAt,
      service,
      place: letter.box === 'inbox' ? letter.consumer : letter.box,
      what: letter.type ?? 'unreadable message',
      detail: `dead letter ${service}/${letter.box}/${letter.id}: ${letter.error}`,
      mark: 'dead',
    })),
    ...jobs.map(({ createdAt, queue, id, state, attempts, error }): Step => ({
      at: createdAt,
      service,
      place: `queue ${queue}`,
      what: `job ${state}`,
      detail: `${service}/${id}, ${attempts} attempts${error === null ? '' : `: ${error}`}`,
      mark: state === 'dead' ? 'dead' : undefined,
    })),
  ];
}

function recordSteps(
  service: ServiceName,
  records: readonly InboxRecord[],
  types: ReadonlyMap<string, string>,
): Step[] {
  return records.map(({ processedAt, consumer, messageId }) => ({
    at: processedAt,
    service,
    place: consumer,
    what: `${types.get(messageId) ?? 'message'} processed`,
    detail: `message ${messageId}`,
    messageId,
  }));
}

async function recordsOf(admin: Administration, ids: readonly string[]): Promise<readonly InboxRecord[]> {
  const records: InboxRecord[] = [];
  for (let from = 0; from < ids.length; from += MOST_IDS)
    records.push(...(await admin.listInboxRecords({ messageId: ids.slice(from, from + MOST_IDS) })).items);
  return records;
}
