/*
 * Attributes of spans, from the semantic conventions for messaging 1.45 (https://opentelemetry.io/docs/specs/semconv/messaging).
 * These conventions are in development. They ask only instrumentations that ever used older names to keep them until
 * OTEL_SEMCONV_STABILITY_OPT_IN says otherwise, so that variable does not concern this one.
 */
export const SYSTEM = 'messaging.system';
export const OPERATION_NAME = 'messaging.operation.name';
export const OPERATION_TYPE = 'messaging.operation.type';
export const DESTINATION = 'messaging.destination.name';
export const PARTITION = 'messaging.destination.partition.id';
export const OFFSET = 'messaging.kafka.offset';
export const KEY = 'messaging.kafka.message.key';
export const MESSAGE_ID = 'messaging.message.id';
export const GROUP = 'messaging.consumer.group.name';
export const BATCH_COUNT = 'messaging.batch.message_count';
export const ERROR_TYPE = 'error.type';

/** The system of messages. */
export const KAFKA = 'kafka';
/** The system of jobs, whose queues are in the database. */
export const POSTGRESQL = 'postgresql';
