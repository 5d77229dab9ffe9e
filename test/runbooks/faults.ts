import { produce, type TestDatabase, until } from '@twinbox/messaging/testing';
import { type ServiceTopics } from '@twinbox/test-support';
import kafkajs from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';

type Admin = ReturnType<InstanceType<typeof kafkajs.Kafka>['admin']>;

/** Ends a fault. */
type Repair = () => Promise<void>;

/** What goes wrong in a database or on a topic. */
export class Faults {
  constructor(
    private readonly database: TestDatabase,
    private readonly topics: ServiceTopics,
  ) {}

  /** Makes a statement on a table fail for good, for the rows that fulfil a condition. */
  async broken(table: string, statement: 'insert' | 'update', when = 'true'): Promise<Repair> {
    const failure = `raise exception 'the ledger is broken' using errcode = 'data_exception'`;
    return this.trigger('broken', table, statement, `${failure};`, when);
  }

  /** Makes each insert into a table take longer. */
  async slow(table: string, seconds: number): Promise<Repair> {
    return this.trigger('slow', table, 'insert', `perform pg_sleep(${seconds});`, 'true');
  }

  /** Makes all messages of an outbox two minutes old. Nobody else may change them. */
  async ageOutbox(schema: string): Promise<void> {
    await this.database.sql(`
      set session_replication_role = replica;
      update ${schema}.outbox set created_at = created_at - interval '2 minutes';
      reset session_replication_role`);
  }

  /** Publishes messages that no outbox has, each with a key of its own unless one is given. */
  async publish(type: string, data: object, { count = 1, key }: { count?: number; key?: string } = {}): Promise<void> {
    const records = Array.from({ length: count }, () => ({
      key: key ?? uuidv7(),
      value: JSON.stringify(data),
      headers: {
        ce_id: uuidv7(),
        ce_source: '/order-service',
        ce_type: type,
        ce_specversion: '1.0',
        ce_dataschema: `urn:event:${type}:2`,
        'content-type': 'application/json',
      },
    }));
    await produce(this.topics.brokers, this.topics.orderEvents, records);
  }

  /** Makes the topic of orders refuse messages of more than so many bytes. */
  async limitSize(bytes: number): Promise<Repair> {
    const set = (value: string) =>
      this.withAdmin(async (admin, topic) => {
        const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic };
        const name = 'max.message.bytes';
        await admin.alterConfigs({
          validateOnly: false,
          resources: [{ ...resource, configEntries: [{ name, value }] }],
        });
        await until('Kafka knows the limit', async () => {
          const asked = { ...resource, configNames: [name] };
          const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [asked] });
          return resources[0]?.configEntries[0]?.configValue === value;
        });
      });
    await set(String(bytes));
    return () => set('1048588');
  }

  /** Deletes everything that the topic of orders has, as a retention does that is too short. */
  async deleteMessages(): Promise<void> {
    await this.withAdmin(async (admin, topic) => {
      const ends = await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({
        topic,
        partitions: ends.map(({ partition, high }) => ({ partition, offset: high })),
      });
    });
  }

  /** Empties an outbox whose messages are all published, together with its positions. */
  async truncateOutbox(schema: string): Promise<void> {
    await this.database.sql(`truncate ${schema}.outbox restart identity`);
  }

  private async withAdmin(work: (admin: Admin, topic: string) => Promise<void>): Promise<void> {
    const { brokers, orderEvents } = this.topics;
    const admin = new kafkajs.Kafka({ brokers: [...brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      await work(admin, orderEvents);
    } finally {
      await admin.disconnect();
    }
  }

  private async trigger(name: string, table: string, statement: string, body: string, when: string): Promise<Repair> {
    await this.database.sql(`
      create or replace function public.${name}() returns trigger language plpgsql as $$ begin ${body} return new; end $$;
      create trigger ${name} before ${statement} on ${table} for each row when (${when}) execute function public.${name}()`);
    return async () => {
      await this.database.sql(`drop trigger ${name} on ${table}`);
    };
  }
}
