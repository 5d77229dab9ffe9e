import { type ComponentHealth } from '../operations/health.js';
import { type InboxConsumer } from './inbox-consumer.js';
import { type InboxWork } from './inbox-work.js';

/** How long a handler may run before health reports it as stuck. A failing handler is reported sooner. */
const HANDLER_STALLS_AFTER_MS = 30_000;

/** Reports whether an inbox makes progress: its connection to Kafka, its handlers, and the environment that they depend on. */
export function inboxHealth(work: InboxWork, consumer: InboxConsumer): ComponentHealth {
  const { inFlight, setbacks } = work;
  const { processed, duplicates, ignored, ...counts } = work.counts;
  const { current, joins, refusal } = consumer;
  const consuming = current !== undefined;
  // Monitoring reads these names, so `ignored` keeps its old one.
  const details = { consuming, joins, processed, duplicates, passedOver: ignored, ...counts };
  if (refusal !== undefined) return { healthy: false, problem: refusal, ...details };
  const { connection, compaction } = consumer.reports();
  const reports = [...inFlight];
  const stuck = reports.map((progress) => progress.report()).find(({ problem }) => problem !== undefined);
  const slow = reports.map((progress) => progress.report(HANDLER_STALLS_AFTER_MS)).find(({ healthy }) => !healthy);
  const worst = [connection, stuck, slow, setbacks.report(), compaction].find((report) => report?.healthy === false);
  return { healthy: true, ...worst, ...details };
}
