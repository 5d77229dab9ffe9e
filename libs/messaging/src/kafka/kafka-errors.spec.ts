import fc from 'fast-check';
import {
  failureScope,
  isOfType,
  isTimestampRefusal,
  PartitionCountError,
  refusal,
  UnacknowledgedError,
} from './kafka-errors.js';

/** An error as kafkajs makes it from Kafka's error name, wrapped `retries` times in errors without one. */
function kafkaError(type: string, retries = 0): Error {
  const error: Error = Object.assign(new Error(type), { type });
  return retries === 0 ? error : new Error('retries exhausted', { cause: kafkaError(type, retries - 1) });
}

const wrapped = fc.nat(4);

describe('a rejection of a batch', () => {
  it.each([
    ['MESSAGE_TOO_LARGE', 'too large', false],
    ['RECORD_LIST_TOO_LARGE', 'too large', false],
    ['INVALID_RECORD', 'invalid', false],
    ['INVALID_TIMESTAMP', undefined, true],
    ['UNKNOWN_TOPIC_OR_PARTITION', undefined, false],
  ])('with %s is recognised after any number of retries', (type, reason, isOfClock) => {
    fc.assert(
      fc.property(wrapped, (retries) => {
        const error = kafkaError(type, retries);

        expect([refusal(error), isTimestampRefusal(error)]).toEqual([reason, isOfClock]);
      }),
    );
  });
});

describe('the scope of a failed send', () => {
  it.each([
    ['TOPIC_AUTHORIZATION_FAILED', 'topic'],
    ['NOT_ENOUGH_REPLICAS', 'topic'],
    ['INVALID_TIMESTAMP', 'topic'],
    ['CLUSTER_AUTHORIZATION_FAILED', 'kafka'],
    ['SASL_AUTHENTICATION_FAILED', 'kafka'],
  ])('of %s is the %s, after any number of retries', (type, scope) => {
    fc.assert(fc.property(wrapped, (retries) => failureScope(kafkaError(type, retries)) === scope));
  });

  it('is the topic if Kafka acknowledged only some partitions, or the topic has other partitions than declared', () => {
    expect(failureScope(new UnacknowledgedError(['orders/1']))).toBe('topic');
    expect(failureScope(new Error('failed', { cause: new PartitionCountError('orders', 3, 6) }))).toBe('topic');
  });

  it.each([undefined, null, 'text', new Error('Connection timeout'), new Error('', { cause: new Error('refused') })])(
    'is unknown if no broker answered: %p',
    (error) => {
      expect(failureScope(error)).toBeUndefined();
    },
  );

  it('is found although an error is its own cause', () => {
    const error = new Error('circular');
    error.cause = error;

    expect([failureScope(error), isOfType(error, ['INVALID_RECORD'])]).toEqual([undefined, false]);
  });
});

describe('errors that must not be retried by kafkajs', () => {
  it('contain both numbers of partitions and what to do', () => {
    const error = new PartitionCountError('orders', 3, 6);

    expect(error.retriable).toBe(false);
    expect(error.message).toMatch(
      /^topic orders has 3 partitions, but its contract declares 6\. .*docs\/how-to\/README\.md$/,
    );
  });
});
