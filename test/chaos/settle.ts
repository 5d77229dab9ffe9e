import { type Injected } from './schedule.js';
import { setTimeout as delay } from 'node:timers/promises';
import { outboxOf, parkedIn, paymentRequestsOf, relaysOf } from './databases.js';
import { waiting } from './judge-rest.js';
import { CONSUMERS, type System, TOPICS } from './system.js';
import { endsOf, type kafkaClient, lagOf, type TopicLog } from './topic-log.js';

/** After everything was healed, the system may take so long until nothing is under way any more. */
export const SETTLE_MS = 120_000;
const TELL_EVERY_MS = 5000;

/** What is looked at to tell whether something is under way. */
interface Observed {
  readonly system: System;
  readonly kafka: ReturnType<typeof kafkaClient>;
  readonly live: TopicLog;
  readonly faults: readonly Injected[];
}

/** Returns when nothing is under way any more, or what still is when the time is over. */
export async function settle(
  observed: Observed,
  signal: AbortSignal,
  tell: (what: string) => void,
): Promise<string | undefined> {
  const deadline = performance.now() + SETTLE_MS;
  let before: string | undefined;
  let tellAt = performance.now() + TELL_EVERY_MS;
  for (;;) {
    const restless = await unrest(observed).catch(String);
    if (restless !== undefined && performance.now() > tellAt) {
      tell(`still waiting: ${restless}`);
      tellAt = performance.now() + TELL_EVERY_MS;
    }
    const ends = restless === undefined ? await endsOf(observed.kafka, TOPICS).catch(() => undefined) : undefined;
    const quiet = ends && JSON.stringify([...ends]);
    // Quiet twice with nothing published in between: no message was on its way from what was asked later to what was earlier.
    if (quiet !== undefined && quiet === before) return undefined;
    before = quiet;
    signal.throwIfAborted();
    if (performance.now() > deadline) return restless ?? 'messages are still published';
    await delay(300, undefined, { signal }).catch(() => undefined);
  }
}

async function unrest({ system, kafka, live, faults }: Observed): Promise<string | undefined> {
  const { database, processes } = system;
  const outbox = await outboxOf(database);
  const unseen = outbox.filter(({ id }) => !live.has(id)).length;
  if (unseen > 0) return `${unseen} messages of the outboxes were not seen on their topics`;
  const pending = outbox.filter((row) => row.pending).length;
  if (pending > 0) return `${pending} messages of the outboxes are not told as published`;
  const gaps = (await relaysOf(database)).reduce((sum, relay) => sum + relay.gaps, 0);
  if (gaps > 0) return `${gaps} gaps of the relays are open`;
  for (const { groupId, topic } of CONSUMERS) {
    const lag = await lagOf(kafka, groupId, topic);
    if (lag > 0) return `${groupId} lags ${lag} messages behind on ${topic}`;
  }
  const parked = waiting({ parked: await parkedIn(database), faults }).length;
  if (parked > 0) return `${parked} messages and jobs wait`;
  const open = (await paymentRequestsOf(database)).filter(({ status }) =>
    ['PENDING', 'REFUND_PENDING'].includes(status),
  );
  if (open.length > 0) return `${open.length} payments have not expired, or are not refunded`;
  for (const { name, url } of processes.values()) {
    const { status } = await fetch(`${url}/health`, { signal: AbortSignal.timeout(3000) });
    if (status !== 200) return `${name} answers ${status} at /health`;
  }
  return undefined;
}
