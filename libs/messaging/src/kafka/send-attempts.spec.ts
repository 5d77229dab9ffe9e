import { createRequire } from 'node:module';
import { until } from '../testing/until.js';
import { aRow } from '../../test/published-record.js';
import { patchKafkajs } from './kafkajs-patches.js';
import { partitionRows, TopicRows } from './kafkajs-produce.js';
import { SendAttempt } from './producer.js';
import { RecordHeaders } from './record-headers.js';

/*
 * kafkajs's own code sends and retries here. Only the brokers are simulated, because no real one answers on demand.
 */

const require = createRequire(import.meta.url);
const createSendMessages = require('kafkajs/src/producer/sendMessages.js') as (
  about: object,
) => (send: object) => Promise<{ topicName: string; partition: number }[]>;
const createEosManager = require('kafkajs/src/producer/eosManager/index.js') as (about: object) => {
  initProducerId(): Promise<void>;
  getSequence(topic: string, partition: number): number;
};
const createRetry = require('kafkajs/src/retry/index.js') as (about: object) => unknown;
const { KafkaJSProtocolError } = require('kafkajs/src/errors.js') as {
  KafkaJSProtocolError: new (error: object) => Error;
};
const produceRequests = require('kafkajs/src/protocol/requests/produce/index.js') as {
  protocol: (about: object) => (options: object) => { request: { encode(): Promise<{ buffer: Buffer }> } };
};

beforeAll(() => patchKafkajs());

type Answer = 'acknowledge' | 'not the leader' | Promise<'acknowledge' | 'not the leader'>;

interface Sent {
  readonly nodeId: number;
  readonly bytes: Buffer;
  /** By topic and partition. */
  readonly firstSequences: Readonly<Record<string, number>>;
}

interface ProduceOptions {
  readonly topicData: { topic: string; partitions: { partition: number; firstSequence: number }[] }[];
}

/** A producer of kafkajs for two brokers, each of which leads every other partition and gives the answers in order. */
async function aProducer(answers: Readonly<Record<number, Answer[]>>, partitions = 2) {
  const sent: Sent[] = [];
  const brokerOf = (nodeId: number) => ({
    nodeId,
    initProducerId: () => Promise.resolve({ producerId: '9', producerEpoch: 0 }),
    async produce(options: ProduceOptions) {
      const { request } = produceRequests.protocol({ version: 7 })({ acks: -1, timeout: 1, ...options });
      const { buffer } = await request.encode();
      const batches = options.topicData.flatMap(({ topic, partitions: some }) =>
        some.map(({ partition, firstSequence }) => [`${topic}/${partition}`, firstSequence] as const),
      );
      sent.push({ nodeId, bytes: Buffer.from(buffer), firstSequences: Object.fromEntries(batches) });
      if ((await answers[nodeId]?.shift()) === 'not the leader')
        throw new KafkaJSProtocolError({
          type: 'NOT_LEADER_FOR_PARTITION',
          message: 'not the leader',
          retriable: true,
        });
      const topics = options.topicData.map(({ topic, partitions: some }) => ({
        topicName: topic,
        partitions: some.map(({ partition }) => ({ partition, errorCode: 0 })),
      }));
      return { topics };
    },
  });
  const brokers = [brokerOf(0), brokerOf(1)];
  const metadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId, leader: partitionId % 2 }));
  const nothing = () => Promise.resolve();
  const cluster = {
    retry: { retries: 1, initialRetryTime: 1, maxRetryTime: 1 },
    addMultipleTargetTopics: nothing,
    refreshMetadata: nothing,
    refreshMetadataIfNecessary: nothing,
    isConnected: () => true,
    findControllerBroker: () => Promise.resolve(brokers[0]),
    findBroker: ({ nodeId }: { nodeId: string }) => Promise.resolve(brokers[Number(nodeId)]),
    findTopicPartitionMetadata: () => metadata,
    findLeaderForPartitions: (_: string, some: string[]) => Object.groupBy(some.map(Number), (n) => n % 2),
  };
  const logger = { debug() {}, error() {}, warn() {}, info() {} };
  const eosManager = createEosManager({ logger, cluster, transactional: false });
  await eosManager.initProducerId();
  const send = createSendMessages({
    logger,
    cluster,
    eosManager,
    partitioner: partitionRows,
    retrier: createRetry(cluster.retry),
  });
  const attempt = new SendAttempt(new Map());
  return {
    sent,
    eosManager,
    attempt,
    publish: (topics: readonly string[]) => {
      const topicMessages = topics.map((topic) => ({
        topic,
        messages: new TopicRows(rows(), { headers: new RecordHeaders('/test'), timed: true }, attempt).asMessages(),
      }));
      return send({ acks: -1, timeout: 1, topicMessages });
    },
  };
}

/** Ten rows, five in each of two partitions. */
function rows() {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'];
  return keys.map((aggregateid, n) => ({ ...aRow({ aggregateid }), partition: n % 2 }));
}

describe('a send', () => {
  it('P2 goes to every broker that leads one of its partitions, with all topics in one request', async () => {
    const { publish, sent, attempt } = await aProducer({});
    attempt.begin(() => true);

    const answers = await publish(['t', 'u']);

    expect(sent.map(({ nodeId, firstSequences }) => [nodeId, firstSequences])).toEqual([
      [0, { 't/0': 0, 'u/0': 0 }],
      [1, { 't/1': 0, 'u/1': 0 }],
    ]);
    expect([...attempt.targets].toSorted()).toEqual(['t/0', 't/1', 'u/0', 'u/1']);
    expect(answers).toHaveLength(4);
  });

  it('P2 is repeated by kafkajs with the same sequence numbers and bytes, but only to the broker that failed', async () => {
    const { publish, sent, attempt, eosManager } = await aProducer({ 1: ['not the leader', 'acknowledge'] });
    attempt.begin(() => true);

    await publish(['t']);

    expect(sent.map(({ nodeId }) => nodeId)).toEqual([0, 1, 1]);
    expect(sent[2]).toEqual(sent[1]);
    expect([0, 1].map((partition) => eosManager.getSequence('t', partition))).toEqual([5, 5]);
  });

  it('P3 is not repeated after the lease was lost', async () => {
    let leads = true;
    const failing = Promise.withResolvers<'not the leader'>();
    const { publish, sent, attempt } = await aProducer({ 0: [failing.promise] });
    attempt.begin(() => leads);
    const sending = publish(['t']);
    await until('both requests are sent', () => sent.length === 2);

    leads = false;
    failing.resolve('not the leader');

    await expect(sending).rejects.toThrow('the lease was lost');
    expect(sent.map(({ nodeId }) => nodeId)).toEqual([0, 1]);
  });

  it.each([
    ['was lost', (_: () => void, lose: () => void) => lose()],
    ['ended with an error, and its producer may be closed', (end: () => void) => end()],
  ])(
    'P3 whose request waits for the broker does not go out any more once the lease or the send %s',
    async (__, over) => {
      let leads = true;
      const slow = Promise.withResolvers<'not the leader'>();
      const { publish, sent, attempt } = await aProducer({
        0: ['not the leader', 'not the leader'],
        1: [slow.promise, 'acknowledge'],
      });
      attempt.begin(() => leads);
      // The second attempt fails too, while its request to the other broker waits for the answer to the first one.
      await expect(publish(['t'])).rejects.toThrow('not the leader');
      expect(sent.map(({ nodeId }) => nodeId)).toEqual([0, 1, 0]);

      over(
        () => attempt.end(),
        () => (leads = false),
      );
      slow.resolve('not the leader');
      await new Promise(setImmediate);

      expect(sent.map(({ nodeId }) => nodeId)).toEqual([0, 1, 0]);
    },
  );
});
