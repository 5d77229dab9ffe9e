import kafkajs, { type ISocketFactory } from 'kafkajs';
// @ts-expect-error -- kafkajs has no types for its internals
import Broker from 'kafkajs/src/broker/index.js';
import { REFUSED } from '../errors.js';
import { BrokerRefusal, KafkaRefusal, saslRefusal } from './kafka-refusal.js';
import { gateOf } from './secure-client.js';

interface BrokerClass {
  readonly brokerAddress: string;
  readonly connectionPool: {
    readonly socketFactory: ISocketFactory;
    readonly sasl?: { readonly mechanism: string } | null;
  };
  isConnected(): boolean;
  connect: (this: BrokerClass) => Promise<void>;
  metadata: (this: BrokerClass, topics?: readonly string[]) => Promise<unknown>;
}

/** When each broker was connected to. */
const connectedAt = new WeakMap<BrokerClass, number>();

/**
 * Patches how kafkajs 2.2.4 connects to a broker:
 *
 * - It takes a broker that accepts connections but does not answer, as a hung process does, for connected when it tries again, and tries
 *   no other. With the patch it cannot be connected to, so kafkajs continues with the next one.
 * - Of a broker that refuses it, it says "Closed connection" or "No brokers in the broker pool", and tries again many times a second. With
 *   the patch the reason is reported, and all clients of the process together try once a second.
 */
export function patchConnect(): void {
  const broker = (Broker as { prototype: BrokerClass }).prototype;
  const { connect, metadata } = broker;
  broker.connect = async function () {
    if (this.isConnected()) return;
    const gate = gateOf(this.connectionPool.socketFactory);
    const leave = await gate?.enter(this.brokerAddress);
    try {
      await connect.call(this);
      connectedAt.set(this, performance.now());
    } catch (error) {
      throw noteRefusal(this, explained(this, error));
    } finally {
      leave?.();
    }
  };
  broker.metadata = async function (topics) {
    try {
      const answer = await metadata.call(this, topics);
      gateOf(this.connectionPool.socketFactory)?.accepted(this.brokerAddress);
      return answer;
    } catch (error) {
      throw noteRefusal(this, explainedClosing(this, error));
    }
  };
}

function explained({ brokerAddress, connectionPool: { sasl } }: BrokerClass, error: unknown): unknown {
  if (error instanceof kafkajs.KafkaJSRequestTimeoutError)
    return new kafkajs.KafkaJSConnectionError(`${brokerAddress} does not answer: ${error.message}`, {
      broker: brokerAddress,
      code: 'ETIMEDOUT',
    });
  if (isRefusedBroker(error) && !(error instanceof BrokerRefusal)) {
    const [, reason = error.message] = error.message.split(`Kafka at ${brokerAddress} `);
    return new BrokerRefusal(brokerAddress, reason);
  }
  const reason = saslRefusal(error, sasl?.mechanism ?? '');
  return reason === undefined ? error : new KafkaRefusal(brokerAddress, reason);
}

/** kafkajs puts its own words in front of ours. */
function isRefusedBroker(error: unknown): error is Error {
  return error instanceof kafkajs.KafkaJSConnectionError && (error as { code?: unknown }).code === REFUSED;
}

/**
 * A broker that expects authentication closes the connection at the first request without it. So does one that is shutting down, but not
 * to two connections of which the second was opened after the first was closed.
 */
function explainedClosing(broker: BrokerClass, error: unknown): unknown {
  const { brokerAddress, connectionPool } = broker;
  const { sasl, socketFactory } = connectionPool;
  if (sasl || (error as Error).name !== 'KafkaJSConnectionClosedError') return error;
  if (!gateOf(socketFactory)?.recurs(brokerAddress, connectedAt.get(broker) ?? 0)) return error;
  return new KafkaRefusal(
    brokerAddress,
    'closes connections at the first request. It probably expects SASL on this port',
  );
}

/** Limits further attempts. If it is about the credentials, it concerns every broker. */
function noteRefusal({ connectionPool, brokerAddress }: BrokerClass, error: unknown): unknown {
  const gate = gateOf(connectionPool.socketFactory);
  if (error instanceof KafkaRefusal) gate?.refused(error);
  else if (error instanceof BrokerRefusal) gate?.refused(error, brokerAddress);
  return error;
}
