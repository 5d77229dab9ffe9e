import {
  heapOptions,
  parseKafkaDefinition,
  propertyName,
  readKafkaDefinition,
  serverProperties,
} from './kafka-definition.js';

const settings = { port: 29092, controllerPort: 29093, logDirs: '/data/log' };

it.each([
  ['KAFKA_NUM_PARTITIONS', 'num.partitions'],
  ['KAFKA_A__B_C', 'a_b.c'],
  ['KAFKA_A___B_C', 'a-b.c'],
])('converts %s to %s, as the container image does', (variable, name) => {
  expect(propertyName(variable)).toBe(name);
});

it('reads the version of Kafka from the tag of its image', () => {
  const definition = parseKafkaDefinition(
    'services: { kafka: { image: apache/kafka:4.3.0, environment: { KAFKA_NODE_ID: 1 } } }',
  );

  expect(definition).toMatchObject({ version: '4.3.0', environment: { KAFKA_NODE_ID: '1' } });
});

it('rejects an image whose tag is not a version that Maven has', () => {
  expect(() => parseKafkaDefinition('services: { kafka: { image: apache/kafka:latest, environment: {} } }')).toThrow(
    'has no tag like 4.3.0',
  );
});

it('keeps the settings of the container, but listens on loopback and writes to the given directory', () => {
  const properties = serverProperties(
    {
      KAFKA_NODE_ID: '7',
      KAFKA_LISTENERS: 'INTERNAL://:9094,EXTERNAL://:9092,CONTROLLER://:9093',
      KAFKA_LOG_DIRS: '/var/lib/kafka/data',
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_HEAP_OPTS: '-Xmx1g',
      CLUSTER_ID: 'x',
    },
    settings,
  );

  expect(properties.trimEnd().split('\n').toSorted()).toEqual([
    'advertised.listeners=EXTERNAL://127.0.0.1:29092',
    'auto.create.topics.enable=false',
    'controller.quorum.voters=7@127.0.0.1:29093',
    'inter.broker.listener.name=EXTERNAL',
    'listeners=EXTERNAL://127.0.0.1:29092,CONTROLLER://127.0.0.1:29093',
    'log.dirs=/data/log',
    'node.id=7',
  ]);
});

it('gives a node of a cluster its own id and all controllers, and everything three copies, two of which acknowledge', () => {
  const controllerPorts = new Map([1, 2, 3].map((id) => [id, 29100 + id]));
  const environment = { KAFKA_NODE_ID: '1', KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1', KAFKA_LOG_DIRS: '/kafka' };
  const member = { nodeId: 2, controllerPorts, clusterId: 'c' };

  const properties = serverProperties(environment, { ...settings, controllerPort: 29102, member });

  expect(properties.trimEnd().split('\n').toSorted()).toEqual([
    'advertised.listeners=EXTERNAL://127.0.0.1:29092',
    'controller.quorum.voters=1@127.0.0.1:29101,2@127.0.0.1:29102,3@127.0.0.1:29103',
    'default.replication.factor=3',
    'inter.broker.listener.name=EXTERNAL',
    'listeners=EXTERNAL://127.0.0.1:29092,CONTROLLER://127.0.0.1:29102',
    'log.dirs=/data/log',
    'min.insync.replicas=2',
    'node.id=2',
    'offsets.topic.replication.factor=3',
    'share.coordinator.state.topic.min.isr=2',
    'share.coordinator.state.topic.replication.factor=3',
    'transaction.state.log.min.isr=2',
    'transaction.state.log.replication.factor=3',
  ]);
});

it('gives the JVM the memory options of the container', () => {
  expect(heapOptions({ KAFKA_HEAP_OPTS: '-Xms256m  -Xmx512m' })).toEqual(['-Xms256m', '-Xmx512m']);
  expect(heapOptions({})).toEqual([]);
});

it('reads the docker-compose.yml of this project, which disables automatic topic creation', async () => {
  const { version, environment } = await readKafkaDefinition();

  expect(version).toMatch(/^4\./);
  expect(serverProperties(environment, settings)).toContain('auto.create.topics.enable=false\n');
});
