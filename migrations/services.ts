import type * as contracts from '@twinbox/contracts';
import { type MigrationInterface } from 'typeorm';

/** The constants of `@twinbox/contracts` that describe a topic. */
type TopicName = Extract<keyof typeof contracts, `${string}_EVENTS`>;

interface Service {
  /** Its folder in `apps`, its container, and by default its consumer group. */
  readonly name: string;
  /** Its schema in the database, which is also the name of its role. The variable of the role's password is `<SCHEMA>_DB_PASSWORD`. */
  readonly schema: string;
  /**
   * How its variables begin, outside of the service: `<PREFIX>_PORT`, `<PREFIX>_GRPC_PORT`, `<PREFIX>_CONSUMER_GROUP`, and `<PREFIX>_URL`
   * for the demo.
   */
  readonly prefix: string;
  readonly port: number;
  readonly grpcPort: number;
  /** The topics to which it publishes. Their variables are `<TOPIC>_TOPIC` and `<TOPIC>_PARTITIONS`. */
  readonly topics: readonly TopicName[];
  /** Whether the demo calls it. */
  readonly isInDemo: boolean;
  /** Loaded only by what migrates. */
  readonly migrations: () => Promise<{ readonly migrations: readonly (new () => MigrationInterface)[] }>;
}

/**
 * The services. The migrations, the topics, `npm start` and the other tools, the tests and the benchmarks take them from here
 * (the chaos test has its own list). Apart from
 * its own files, a new service needs this entry and parts of docker-compose.yml, Dockerfile (EXPOSE), nest-cli.json and
 * tsconfig.build.json, which a test compares with it, and a section in docs/reference/configuration.md, for which `npm run docs` asks.
 */
export const SERVICES = [
  {
    name: 'order-service',
    schema: 'orders',
    prefix: 'ORDER',
    port: 8081,
    grpcPort: 50_051,
    topics: ['ORDER_EVENTS'],
    isInDemo: true,
    migrations: () => import('./orders.js'),
  },
  {
    name: 'payment-service',
    schema: 'payments',
    prefix: 'PAYMENT',
    port: 8082,
    grpcPort: 50_052,
    topics: ['PAYMENT_EVENTS'],
    isInDemo: true,
    migrations: () => import('./payments.js'),
  },
] as const satisfies readonly Service[];

export type ServiceName = (typeof SERVICES)[number]['name'];
export type Schema = (typeof SERVICES)[number]['schema'];

/** The topics of all services, in the order in which they are created. */
export const TOPICS = SERVICES.flatMap(({ topics }): readonly Topic[] => topics);
export type Topic = (typeof SERVICES)[number]['topics'][number];

/** The variable with the password of the role of a schema. */
export const passwordVariable = (schema: Schema): string => `${schema.toUpperCase()}_DB_PASSWORD`;

/** Returns an object with a value for each service, by its name. */
export function byService<T>(value: (service: (typeof SERVICES)[number]) => T): Readonly<Record<ServiceName, T>> {
  return Object.fromEntries(SERVICES.map((service) => [service.name, value(service)])) as Record<ServiceName, T>;
}

/** Returns an object with a value for each schema, by its name. */
export function bySchema<T>(value: (schema: Schema) => T): Readonly<Record<Schema, T>> {
  return Object.fromEntries(SERVICES.map(({ schema }) => [schema, value(schema)])) as Record<Schema, T>;
}

/** The schema of a service. */
export const SCHEMA_OF = byService(({ schema }) => schema);
