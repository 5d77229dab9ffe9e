import { Logger } from '@nestjs/common';
import { PermanentError } from '../errors.js';
import { connectProducer } from '../kafka/producer.js';
import { type OutboxRow } from '../message/message.js';
import { type TopicContract } from '../message/topic.js';
import { type MessagingOptions } from '../messaging-options.js';
import { ParkedKeys } from '../relay/parked-keys.js';
import { Publisher, type PublishingTerm, TopicFailure } from '../relay/publisher.js';
import { Routes } from '../relay/routes.js';

/** What became of some copies. */
export interface Sent {
  /** The number of rows that Kafka has acknowledged, from the first one on. */
  readonly count: number;
  /** Why the others were not sent: a failure, or a `TermOver` if nothing more may be sent. */
  readonly error?: unknown;
}

/** Publishes copies for one operation, with the relay's publisher and a producer that marks them. */
export class CopyPublisher {
  private readonly publisher: Publisher;
  private readonly routes: Routes;

  /** `topics` has the topics that take the copies, one for each aggregate type. */
  constructor(
    options: MessagingOptions,
    readonly operation: string,
    topics: readonly TopicContract[],
  ) {
    const ofCopies = { ...options, publishes: topics };
    this.publisher = new Publisher(ofCopies, (of) => connectProducer({ ...of, replay: operation }), {
      onFailed: (_, error) => Promise.reject(error),
      onSent: () => undefined,
    });
    this.routes = new Routes(this.publisher.topics, new Logger('Operations'));
  }

  /** Sends copies in order, until one fails. `mayPublish` is called before every send. Never throws. */
  async send(rows: readonly OutboxRow[], mayPublish: () => boolean): Promise<Sent> {
    let count = 0;
    const term: PublishingTerm = { mayPublish, parkedStore: REFUSED, parked: new ParkedKeys(), routes: this.routes };
    try {
      await this.publisher.catchUp(rows, term, (batch) => (count += batch.length));
      return { count };
    } catch (error) {
      return { count, error: error instanceof TopicFailure ? error.cause : error };
    }
  }

  /** Never throws. */
  async close(): Promise<void> {
    await this.publisher.close();
  }
}

/** A copy that Kafka rejects ends the operation. Nothing else is parked. */
const REFUSED: PublishingTerm['parkedStore'] = {
  park([row], error): Promise<void> {
    const name = row
      ? `${row.type} ${row.id} of ${row.aggregatetype} ${row.aggregateid} at position ${row.position}`
      : 'a copy';
    return Promise.reject(new PermanentError(`Kafka rejects ${name}: ${error}`));
  },
  markParkedDead: unused,
  readParked: unused,
  removeParked: unused,
};

function unused(): Promise<never> {
  return Promise.reject(new Error('Copies are not parked'));
}
