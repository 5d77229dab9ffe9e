import { type TopicContract } from '@twinbox/messaging';
import { OperationalError } from '../../errors.js';
import { type Application } from './applications.js';
import { headersOf, key } from './envelope.js';
import { type JsonSchema } from './json-schema.js';
import { type EventVersion } from './schemas.js';
import { securitySchemes, servers } from './servers.js';

const KAFKA_BINDING = { bindingVersion: '0.5.0' };

export interface Reference {
  readonly $ref: string;
}

/** A message of the document: one version of an event. */
export interface MessageObject {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly contentType: string;
  readonly headers: JsonSchema;
  readonly payload: Reference;
  readonly bindings: { readonly kafka: { readonly key: JsonSchema } };
  readonly examples: readonly object[];
}

export interface ChannelObject {
  readonly address: string;
  readonly title: string;
  readonly description: string;
  readonly messages: Readonly<Record<string, Reference>>;
  readonly bindings: {
    readonly kafka: {
      readonly topic: string;
      readonly partitions: number;
      readonly topicConfiguration: { readonly 'cleanup.policy': readonly string[]; readonly 'retention.ms': number };
    };
  };
}

export interface OperationObject {
  readonly action: 'send' | 'receive';
  readonly title: string;
  readonly summary: string;
  readonly channel: Reference;
  readonly bindings?: object;
}

/** An AsyncAPI document, as far as it is read here. */
export interface AsyncApi {
  readonly asyncapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: typeof servers;
  readonly channels: Readonly<Record<string, ChannelObject>>;
  readonly operations: Readonly<Record<string, OperationObject>>;
  readonly components: {
    readonly messages: Readonly<Record<string, MessageObject>>;
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly securitySchemes: typeof securitySchemes;
  };
}

/** A topic with the versions of its events. */
export interface PublishedTopic {
  readonly topic: TopicContract;
  readonly versions: readonly EventVersion[];
}

const DESCRIPTION =
  'The events that order-service and payment-service publish to Apache Kafka. A message is a CloudEvent 1.0 in binary mode: the headers ' +
  'have the attributes, the value has the data as JSON. A message may be delivered more than once, and then has the same `ce_id` and ' +
  '`ce_source`. Messages with the same key are in the order of their commits. Ignore unknown fields, headers and types. A newer version of an event only adds fields ' +
  'to it: read a message with the newest version that you know and that is not newer than the message (`ce_dataschema`).';

/** Returns the AsyncAPI document of all topics. */
export function asyncApi(
  version: string,
  topics: readonly PublishedTopic[],
  applications: readonly Application[],
): AsyncApi {
  const messages = topics.flatMap(({ topic, versions }) => {
    const publisher = applications.find(({ publishes }) => publishes.some(({ name }) => name === topic.name))?.name;
    if (publisher === undefined)
      throw new OperationalError(`No service publishes ${topic.name}. Add it to the topology.ts of its service.`);
    return versions.map((event) => [event.name, messageOf(event, `/${publisher}`)] as const);
  });
  const schemas = topics.flatMap(({ versions }) => versions.map(({ name, schema }) => [name, schema] as const));
  return {
    asyncapi: '3.1.0',
    info: {
      title: 'Twinbox events',
      version,
      description: DESCRIPTION,
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    } as AsyncApi['info'],
    defaultContentType: 'application/json',
    servers,
    channels: Object.fromEntries(topics.map((published) => [channelName(published.topic), channelOf(published)])),
    operations: Object.fromEntries(applications.flatMap(operationsOf)),
    components: { messages: Object.fromEntries(messages), schemas: Object.fromEntries(schemas), securitySchemes },
  } as AsyncApi;
}

/** `order.events` → `orderEvents`. */
function channelName({ name }: TopicContract): string {
  return name.replaceAll(/\.(.)/g, (_, letter: string) => letter.toUpperCase());
}

function channelOf({ topic, versions }: PublishedTopic): ChannelObject {
  const { name, partitions, retentionMs } = topic;
  return {
    address: name,
    title: `The topic ${name}`,
    description: `The events of each ${topic.aggregateType}. The key of a message is the id of the order.`,
    messages: Object.fromEntries(versions.map(({ name }) => [name, { $ref: `#/components/messages/${name}` }])),
    bindings: {
      kafka: {
        topic: name,
        partitions,
        topicConfiguration: { 'cleanup.policy': ['delete'], 'retention.ms': retentionMs },
        ...KAFKA_BINDING,
      },
    },
  };
}

function messageOf(event: EventVersion, source: string): MessageObject {
  const { name, type, version, schema } = event;
  const headers = headersOf(event, source);
  const example = Object.entries(headers.properties ?? {}).flatMap(([header, { examples = [] }]) =>
    header === 'ce_time' ? [] : [[header, examples[0]]],
  );
  return {
    name: type,
    title: `${type}, version ${version}`,
    summary: schema.description ?? '',
    contentType: 'application/json',
    headers,
    payload: { $ref: `#/components/schemas/${name}` },
    bindings: { kafka: { key, ...KAFKA_BINDING } },
    examples: [{ name: 'complete', headers: Object.fromEntries(example), payload: schema.examples?.[0] }],
  };
}

function operationsOf({ name, publishes, consumes }: Application): (readonly [string, OperationObject])[] {
  const prefix = name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const suffix = (topic: TopicContract) => channelName(topic).replace(/^./, (letter) => letter.toUpperCase());
  const channel = (topic: TopicContract) => ({ $ref: `#/channels/${channelName(topic)}` });
  const send = publishes.map((topic): [string, OperationObject] => [
    `${prefix}Sends${suffix(topic)}`,
    {
      action: 'send',
      title: `${name} publishes to ${topic.name}`,
      summary: 'An event is stored in the transaction that changes the state, and published after it.',
      channel: channel(topic),
    },
  ]);
  const receive = consumes.map(({ topic, group, purpose }): [string, OperationObject] => [
    `${prefix}Receives${suffix(topic)}`,
    {
      action: 'receive',
      title: `${name} consumes ${topic.name} as ${group}`,
      summary: purpose,
      channel: channel(topic),
      bindings: { kafka: { groupId: { type: 'string', const: group }, ...KAFKA_BINDING } },
    },
  ]);
  return [...send, ...receive];
}
