import { randomUUID } from 'node:crypto';
import { logLevel, type Message, Partitioners } from 'kafkajs';
import { runAsChild } from '../support/child.js';
import { type Brokers, kafkaJs } from '../support/secured.js';

export interface BareOptions extends Brokers {
  readonly topic: string;
  readonly messages: number;
  readonly headers: boolean;
}

export interface BareResult {
  readonly perSecond: number;
}

const BATCH = 1000;

/** The baseline for the relay: plain kafkajs, which sends the same keys, values and headers. */
runAsChild<BareOptions, BareResult>(async (options, finish) => {
  const producer = kafkaJs(options, 'bare', logLevel.NOTHING).producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  void sendAll(options, (messages) => producer.send({ topic: options.topic, acks: -1, messages }))
    .then(finish)
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
  return () => Promise.reject(new Error('the bare producer ends by itself'));
});

async function sendAll(
  { messages, headers }: BareOptions,
  send: (batch: Message[]) => Promise<unknown>,
): Promise<BareResult> {
  const value = JSON.stringify({ note: 'x'.repeat(489) });
  let ms = 0;
  for (let from = 0; from < messages; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, messages - from) }, (_, n) => record(from + n, value, headers));
    const began = performance.now();
    await send(batch);
    // Like the relay, it is timed from its first batch on.
    if (from > 0) ms += performance.now() - began;
  }
  return { perSecond: ((messages - BATCH) / ms) * 1000 };
}

function record(n: number, value: string, headers: boolean): Message {
  const bare = { key: `key-${n % 20_000}`, value, timestamp: String(Date.now()) };
  if (!headers) return bare;
  return {
    ...bare,
    headers: {
      ce_specversion: '1.0',
      ce_id: randomUUID(),
      ce_source: '/bench',
      ce_type: 'Noted',
      ce_dataschema: 'urn:event:Noted:1',
      ce_sequence: String(n),
      'content-type': 'application/json',
    },
  };
}
