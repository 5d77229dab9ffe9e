import { type InboxOptions, type MessagingOptions } from '@twinbox/messaging';
import { IsString } from 'class-validator';
import { type Brokers, securityOf } from './secured.js';

/** The servers and names that the measured processes use. */
export interface Place extends Brokers {
  readonly databaseUrl: string;
  /** The name of the topic and of the consumer group. */
  readonly name: string;
}

export class Noted {
  static readonly version = 1;

  @IsString() readonly note!: string;
}

export const NOTES = Symbol('notes');

/** The options of a service with one topic of six partitions. */
export function messagingOptions(
  { databaseUrl, name, ...kafka }: Place,
  inbox?: Omit<InboxOptions, 'consumer' | 'groupId' | 'topic'>,
): MessagingOptions {
  const topic = { name, aggregateType: 'bench', partitions: 6, retentionMs: 86_400_000, events: { Noted } };
  return {
    schema: 'bench',
    databaseUrl,
    brokers: kafka.brokers,
    ...securityOf(kafka),
    service: 'bench',
    publishes: [topic],
    consumes: inbox ? [{ consumer: NOTES, groupId: name, topic, ...inbox }] : [],
  };
}
