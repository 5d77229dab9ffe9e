import 'reflect-metadata';
import { KafkaConfig, kafkaOptions, loadConfig, readGiven } from '@twinbox/api-kit/connections';
import type { KafkaOptions } from '@twinbox/messaging';
import { sslFileProblem, sslModeProblem } from '@twinbox/messaging/session-client';

/** Runs a command. If it fails, prints one line with the reason and sets the exit status to 1. */
export function run(name: string, command: () => Promise<void>): void {
  command().catch((error: unknown) => {
    console.error(`${name}: ${reason(error)}`);
    process.exitCode = 1;
  });
}

/** Returns the value of an environment variable, or of the file that `<variable>_FILE` names if it is a secret. @throws if neither is set */
export function required(variable: string, meaning: string): string {
  const { values, problems } = readGiven([variable], process.env);
  if (problems[0] !== undefined) throw new Error(problems[0]);
  const value = values[variable];
  if (!value) throw new Error(`${variable} is not set (${meaning})`);
  return value;
}

/** Returns DATABASE_URL. @throws if it is not set, or if connections would not be as secure as they look */
export function databaseUrl(meaning: string): string {
  const url = required('DATABASE_URL', meaning);
  const problem = sslModeProblem(url) ?? sslFileProblem(url);
  if (problem !== undefined) throw new Error(`DATABASE_URL: ${problem}`);
  return url;
}

/** Returns the connection to Kafka that the variables KAFKA_… describe. @throws if they are invalid or contradict each other */
export function kafka(clientId: string): KafkaOptions {
  required('KAFKA_BROKERS', "Kafka's bootstrap servers: host:port, separated by commas");
  return kafkaOptions(loadConfig(KafkaConfig), clientId);
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
