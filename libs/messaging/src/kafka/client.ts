import { Logger } from '@nestjs/common';
import {
  type Admin,
  type Consumer as KafkaJsConsumer,
  Kafka,
  type LogEntry,
  logLevel,
  type Producer as KafkaJsProducer,
} from 'kafkajs';
import { describeError } from '../errors.js';
import { type KafkaSecurity } from '../kafka-security.js';
import { LineLimit } from './kafka-log.js';
import { patchFetches } from './kafkajs-fetches.js';
import { patchKafkajs } from './kafkajs-patches.js';
import { secureConfig } from './secure-client.js';

/*
 * Only this folder imports kafkajs; only its patches import kafkajs's internals. kafkajs is no longer maintained, and replacing it
 * means replacing this folder.
 * kafkajs's own retries are reduced to the minimum that it allows. The relay and the inbox retry, with their own checks.
 */

export interface KafkaOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly security?: KafkaSecurity | undefined;
}

patchKafkajs();
patchFetches();

const CONNECTION_MS = 3000;
/** Half of the time that a stopping service has, because a silent broker must not delay it. */
export const REQUEST_MS = 5000;
export const FEW_RETRIES = { retries: 1, initialRetryTime: 100, maxRetryTime: 500 };

export function kafkaClient({ brokers, clientId, security }: KafkaOptions): Kafka {
  // kafkajs starts with the first broker, and with few retries it never reaches the third. So while the first ones were down, no new
  // client could connect, even if the others worked.
  const first = Math.floor(Math.random() * brokers.length);
  return new Kafka({
    brokers: [...brokers.slice(first), ...brokers.slice(0, first)],
    clientId,
    ...secureConfig(security),
    connectionTimeout: CONNECTION_MS,
    requestTimeout: REQUEST_MS,
    retry: FEW_RETRIES,
    logLevel: logLevel.WARN,
    logCreator: () => logToNest,
  });
}

export const kafkaJsLogger = new Logger('kafkajs');
const kafkaJsLines = new LineLimit();

/** Limits repeated lines, because kafkajs reports a lost connection with every attempt to use it. */
function logToNest({ namespace, level, log }: LogEntry): void {
  const { message, error } = log as { message: string; error?: unknown };
  const reason = error === undefined || error === message ? '' : `: ${describeError(error)}`;
  const levelName = level === logLevel.ERROR ? 'error' : level === logLevel.WARN ? 'warn' : 'debug';
  const line = kafkaJsLines.take({ level: levelName, text: `${namespace}: ${message}${reason}` });
  if (line) kafkaJsLogger[line.level](line.text);
}

/** Runs the work with a connected admin client. */
export async function withAdmin<T>(options: KafkaOptions, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaClient(options).admin();
  try {
    await admin.connect();
    return await work(admin);
  } finally {
    await disconnect(admin);
  }
}

/** Never throws. */
export async function disconnect(client: KafkaJsProducer | KafkaJsConsumer | Admin): Promise<void> {
  await client.disconnect().catch((error: unknown) => kafkaJsLogger.debug(`disconnect: ${String(error)}`));
}
