export { allDone } from './all-done.js';
export { type AuditEntry } from './audit.js';
export { BatchedStatement } from './batched-statement.js';
export { CommitWakeUp } from './commit-wake-up.js';
export { type DeadJob, DeadJobs, type WholeDeadJob } from './dead-jobs.js';
export {
  type DeadLetter,
  type InboxLetter,
  type LetterBox,
  type LetterFilter,
  type OutboxLetter,
  type WholeInboxLetter,
  type WholeLetter,
  type WholeOutboxLetter,
} from './dead-letter.js';
export { DeadLetters, type LetterChoice } from './dead-letters.js';
export { PermanentError } from './errors.js';
export { Gather } from './gather.js';
export { type Attention, type Tally } from './attention.js';
export { type ComponentHealth, MessagingHealth, type MessagingReport } from './health.js';
export { type Incident, type IncidentKind, Incidents } from './incidents.js';
export { InboxContext } from './inbox-context.js';
export { InboxRecords, type InboxRecord } from './inbox-records.js';
export {
  type Job,
  JobDead,
  type JobDeadMethod,
  JobHandler,
  type JobHandlerMethod,
  type JobOptions,
} from './job-handlers.js';
export { type JobAddOptions, Jobs, type NewJob } from './jobs.js';
export { createTopics, type KafkaOptions } from './kafka.js';
export { type Message } from './message.js';
export { type InboxOptions, type MessagingOptions } from './messaging-options.js';
export { connectInboxes, MessagingModule } from './messaging.module.js';
export { MessagingMetrics } from './metrics.js';
export {
  type GroupOfTopic,
  moveOffsets,
  type OffsetsOfPartition,
  type OffsetTarget,
  showOffsets,
} from './move-offsets.js';
export { type LetterAction, type LetterPage, type Letters } from './operator.js';
export { type AggregateRef, MAX_PAYLOAD_BYTES, Outbox, type OutboxEvent } from './outbox.js';
export { messagingTables } from './schema.js';
export { type EventClass, type TopicContract } from './topic.js';
