import { readFile } from 'node:fs/promises';
import type { KafkaSecurity } from '@twinbox/messaging';
import type { KafkaServer } from '@twinbox/tools';
import { SASL_PASSWORD, SASL_USER, saslVariables, startSecureKafka } from '@twinbox/tools/secure-servers';
import { Kafka, type logLevel } from 'kafkajs';

/** How to connect to Kafka with TLS and SCRAM-SHA-512. It is sent to other processes. */
export interface Secured {
  readonly ca: string;
  readonly username: string;
  readonly password: string;
}

/** Kafka's addresses, and how to connect to them. */
export interface Brokers {
  readonly brokers: readonly string[];
  /** Absent without `--secure`. */
  readonly secured?: Secured | undefined;
}

const MECHANISM = 'scram-sha-512';

/** Starts a broker, and returns it with its listener that requires TLS and SASL. */
export async function startSecured(signal: AbortSignal): Promise<{ kafka: KafkaServer } & Brokers> {
  const kafka = await startSecureKafka({ shortLived: false, signal });
  const ca = await readFile(kafka.authority.caFile, 'utf8');
  return { kafka, brokers: [kafka.sasl], secured: { ca, username: SASL_USER, password: SASL_PASSWORD } };
}

/** Returns the `security` of the messaging library. */
export function securityOf({ secured }: Brokers): { readonly security?: KafkaSecurity } {
  if (!secured) return {};
  const { ca, username, password } = secured;
  return { security: { tls: { ca }, sasl: { mechanism: MECHANISM, username, password } } };
}

/** Returns the variables of a service. */
export function variablesOf({ secured }: Brokers): Record<string, string> {
  return secured ? saslVariables(secured.ca) : {};
}

/** Returns a client of kafkajs itself. */
export function kafkaJs({ brokers, secured }: Brokers, clientId: string, level: logLevel): Kafka {
  const { ca, username = '', password = '' } = secured ?? {};
  return new Kafka({
    brokers: [...brokers],
    clientId,
    logLevel: level,
    ...(ca !== undefined && { ssl: { ca: [ca] }, sasl: { mechanism: MECHANISM, username, password } }),
  });
}
