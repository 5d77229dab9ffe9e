// Setup
export { type EventClass, type TopicContract, type Upcaster, upcaster } from './message/topic.js';
export { type InboxOptions, type MessagingOptions } from './messaging-options.js';
export { connectInboxes, MessagingModule } from './messaging.module.js';
export { messagingRetention, messagingTables, type MessagingTablesOptions } from './postgres/schema.js';
export { type LeastRetention } from './postgres/removal.js';
export { messagingTablesDown } from './postgres/schema-down.js';
export { type KafkaOptions } from './kafka/client.js';
export { type AccessToken, type KafkaSasl, type KafkaSecurity, type KafkaTls } from './kafka-security.js';
export { type Secret } from './secret.js';
export { type TopicCopies } from './kafka/topic-copies.js';
export { createTopics } from './kafka/topics.js';

// Publishing
export { MAX_PAYLOAD_BYTES } from './message/limits.js';
export { type AggregateRef, Outbox, type OutboxEvent } from './outbox/outbox.js';

// Consuming
export { InboxContext } from './inbox/inbox-context.js';
export { type FoundRecord, type InboxRecord, InboxRecords } from './inbox/inbox-records.js';
export { type Message } from './message/message.js';
export { type TraceContext } from './tracing/trace-context.js';

// Jobs
export { JobDead, JobHandler } from './jobs/job-handlers.js';
export {
  type Job,
  type JobCheck,
  type JobDeadMethod,
  type JobHandlerMethod,
  type JobOptions,
} from './jobs/job-queue.js';
export { Jobs } from './jobs/jobs.js';
export { type JobAddOptions, type NewJob } from './jobs/new-job.js';

// Errors of handlers
export { InvalidInputError, PermanentError } from './errors.js';

// Dead letters and dead jobs
export { type CauseGroup, type Causes } from './dead-letters/cause.js';
export { type DeadJob, type JobFilter, type WholeDeadJob } from './dead-letters/dead-job.js';
export { DeadJobs } from './dead-letters/dead-jobs.js';
export {
  type DeadLetter,
  type InboxLetter,
  type LetterBox,
  type LetterFilter,
  type OutboxLetter,
  type WholeInboxLetter,
  type WholeLetter,
  type WholeOutboxLetter,
} from './dead-letters/dead-letter.js';
export { type FailedAttempt } from './postgres/failure-history.js';
export { EditRefusedError } from './dead-letters/edit.js';
export { DeadLetters } from './dead-letters/dead-letters.js';
export { type LetterChoice } from './dead-letters/letter-choice.js';
export {
  type AuditedAction,
  type AuditEntry,
  type AuditFilter,
  type AuditOutcome,
  type DiscardedMessage,
} from './operations/audit.js';
export { AuditTrail } from './operations/audit-trail.js';
export { type LetterAction, type LetterPage, type Page } from './operations/operator.js';

// Bulk actions
export { type OperationFilter, type OperationOptions } from './stored-operations/operation-kind.js';
export { Operations } from './stored-operations/operations.js';
export {
  type DryRun,
  type NewOperation,
  type OperationRequest,
  type OperationState,
  type StoredOperation,
} from './stored-operations/stored-operation.js';

// Messages that wait, and messages of one aggregate
export {
  type HeldMessage,
  type JobOfAggregate,
  type MessagesOfAggregate,
  type RaisedMessage,
} from './inspection/aggregate-message.js';
export { AggregateMessages } from './inspection/aggregate-messages.js';
export {
  type Blocker,
  type ParkedFilter,
  type ParkedMessage,
  type WholeParkedMessage,
} from './inspection/parked-message.js';
export { ParkedMessageList } from './inspection/parked-message-list.js';

// Health, incidents and metrics
export { CachedReading } from './metrics/cached-reading.js';
export { MessagingMetrics } from './metrics/metrics.js';
export { type Attention, type Tally } from './operations/attention.js';
export { type ComponentHealth, MessagingHealth, type MessagingReport } from './operations/health.js';
export { type Incident, type IncidentKind } from './operations/incident.js';
export { Incidents } from './operations/incidents.js';

// Pauses
export { type Pause, type PauseKind } from './operations/known-pauses.js';
export { Pauses } from './pauses/pauses.js';

// Overview
export {
  type ConsumerOverview,
  type GroupOverview,
  type MessagingOverview,
  type OverviewProblem,
  type LatestFailure,
  type PauseNote,
  type QueueOverview,
  type RelayOverview,
} from './overview/overview-report.js';
export { Overview } from './overview/overview.js';
export { type Waiting } from './metrics/metrics-store.js';

// Offsets
export {
  type GroupOfTopic,
  moveOffsets,
  type OffsetsOfPartition,
  type OffsetTarget,
  showOffsets,
} from './inbox/move-offsets.js';
