import { passwordVariable, SERVICES } from '@twinbox/migrations/services';
import { startKafka } from '../servers/kafka.js';
import { startPostgres } from '../servers/postgres.js';
import { type StartConfig } from './config.js';
import { useBrokers, useDatabase } from './given-servers.js';
import { DATA, logFile } from './places.js';
import { type Running } from './running.js';
import { step } from './step.js';
import { timed } from './timed.js';

/** Starts PostgreSQL and Kafka, and prepares each for the services as soon as it runs. */
export async function startServers(
  config: StartConfig,
  running: Running,
): Promise<{ databaseUrl: string; brokers: string }> {
  console.log('  starting PostgreSQL and Kafka …');
  const [databaseUrl, brokers] = await running.concurrently(
    prepareDatabase(config, running),
    prepareKafka(config, running),
  );
  return { databaseUrl, brokers };
}

async function prepareDatabase(config: StartConfig, running: Running): Promise<string> {
  const { databaseUrl, postgresPort, passwords } = config;
  const url = databaseUrl ? await useDatabase(databaseUrl) : await startDatabase(postgresPort, running);
  const variables = SERVICES.map(({ schema }) => [passwordVariable(schema), passwords[schema]]);
  // Everything on a server of ours belongs to Twinbox. On another one, something may rely on being able to connect.
  const closed = databaseUrl ? undefined : { CLOSED_DATABASES: 'postgres,template1,twinbox' };
  const env = { DATABASE_URL: url, ...closed, ...(Object.fromEntries(variables) as Record<string, string>) };
  await step('migrations', 'migrations/dist/migrate.js', env, running.signal);
  await step('demo products', 'tools/dist/provisioning/demo-products.js', env, running.signal);
  return url;
}

async function startDatabase(port: number, running: Running): Promise<string> {
  const { signal } = running;
  const options = { dataDir: DATA.postgres, port, database: 'twinbox', logFile: logFile('postgres'), signal };
  running.postgres = await timed(`PostgreSQL on port ${port}`, () => startPostgres(options));
  return running.postgres.url;
}

async function prepareKafka({ kafkaBrokers, kafkaPort }: StartConfig, running: Running): Promise<string> {
  const brokers = kafkaBrokers ? await useBrokers(kafkaBrokers) : await startBroker(kafkaPort, running);
  await step('topics', 'tools/dist/provisioning/topics.js', { KAFKA_BROKERS: brokers }, running.signal);
  return brokers;
}

async function startBroker(port: number, running: Running): Promise<string> {
  const { signal } = running;
  const onProgress = (what: string) => console.log(`    Kafka: ${what} …`);
  const options = { dataDir: DATA.kafka, port, logFile: logFile('kafka'), onProgress, signal };
  running.kafka = await timed(`Kafka on port ${port}`, () => startKafka(options));
  return running.kafka.brokers;
}
