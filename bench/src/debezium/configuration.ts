import { type Place } from '../support/place.js';

/** The settings of Debezium, tuned for the speed and latency of the relay. Everything else has its default. */

/** PostgreSQL. The relay runs on the same server, and is unaffected. */
export const LOGICAL_DECODING: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  // A backlog that was committed in one transaction is decoded in memory; with the default of 64 MB it would be written to disk.
  logical_decoding_work_mem: '512MB',
};

export const JVM_OPTIONS: readonly string[] = [
  // Enough for the queues of records. With twice as much, the rates were the same.
  '-Xms256m',
  '-Xmx256m',
  // Few objects survive. On two cores this collector was as fast as G1, faster than the parallel one, and needs the least memory.
  '-XX:+UseSerialGC',
];

/** The Connect worker, in standalone mode. */
export function workerProperties(
  brokers: readonly string[],
  offsetsFile: string,
  port: number,
): Record<string, string> {
  return {
    'bootstrap.servers': brokers.join(','),
    listeners: `http://127.0.0.1:${port}`,
    'offset.storage.file.filename': offsetsFile,
    // After a crash, messages since the last flush are published again. The default is a minute.
    'offset.flush.interval.ms': '10000',
    // Key and payload are text that is published as it is.
    'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
    'value.converter': 'org.apache.kafka.connect.storage.StringConverter',
    // Cheaper than the default, which describes each value by a schema that it infers.
    'header.converter': 'org.apache.kafka.connect.storage.StringConverter',
    // Reads the manifests of the jars instead of scanning their classes: a faster start.
    'plugin.discovery': 'service_load',
    // As durable as the relay: Connect's default is acks=all, but without idempotence.
    'producer.acks': 'all',
    'producer.enable.idempotence': 'true',
    // Connect's default is 1, for order without idempotence.
    'producer.max.in.flight.requests.per.connection': '5',
    // The default of 16 kB holds 20 messages.
    'producer.batch.size': '262144',
    // While a request is in flight, further records gather anyway. Waiting would only add latency.
    'producer.linger.ms': '0',
    // Like the relay. Compression costs CPU time, which is the limit here.
    'producer.compression.type': 'none',
  };
}

/** Which headers the router adds. Either way it adds `id`. */
export type Headers = 'id only' | 'those of the relay';

/** The connector of one outbox, with the publication and the slot of {@link prepare}. */
export function connectorConfig(place: Place, headers: Headers): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(place.databaseUrl);
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': '1',
    'database.hostname': hostname,
    'database.port': port,
    'database.user': username,
    'database.password': password,
    'database.dbname': pathname.slice(1),
    'topic.prefix': place.name,
    'table.include.list': 'bench.outbox',
    // PostgreSQL's own plugin. The publication has this table and its inserts only, so nothing else is decoded and sent.
    'plugin.name': 'pgoutput',
    'slot.name': SLOT,
    'publication.name': PUBLICATION,
    'publication.autocreate.mode': 'disabled',
    // The log keeps published rows for days. A snapshot would send them again.
    'snapshot.mode': 'no_data',
    'skipped.operations': 'u,d,t',
    'tombstones.on.delete': 'false',
    // Four times the defaults, so that reading and sending wait for each other less often.
    'max.batch.size': '8192',
    'max.queue.size': '32768',
    // How long Debezium sleeps when it finds nothing. The default of 500 ms would be the latency.
    'poll.interval.ms': '1',
    // Headers that describe the connector, and quantiles of the latency for JMX: work for each record that nobody here uses.
    'extended.headers.enabled': 'false',
    'statistics.metrics.enabled': 'false',
    ...router(place, headers),
  };
}

export const SLOT = 'debezium';
export const PUBLICATION = 'debezium';

/** The statements that prepare a database: the publication, then the slot, from which on nothing is lost. */
export const PREPARATION: readonly string[] = [
  // Neither the updates and deletes of pruning nor columns that nobody reads. The key must be among the columns.
  `create publication ${PUBLICATION} for table bench.outbox
     (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload) with (publish = 'insert')`,
  `select pg_create_logical_replication_slot('${SLOT}', 'pgoutput')`,
];

function router({ name }: Place, headers: Headers): Record<string, string> {
  const outbox = {
    'transforms.outbox.type': 'io.debezium.transforms.outbox.EventRouter',
    'transforms.outbox.table.field.event.key': 'aggregateid',
    'transforms.outbox.route.by.field': 'aggregatetype',
    'transforms.outbox.route.topic.replacement': name,
  };
  if (headers === 'id only') return { transforms: 'outbox', ...outbox };
  // InsertHeader would read 1.0 without quotes as a number, and write 1.
  const constants = { ce_specversion: '"1.0"', ce_source: '/bench', 'content-type': 'application/json' };
  const names = Object.keys(constants).map((_, n) => `constant${n}`);
  const inserts = Object.entries(constants).flatMap(([header, value], n) => [
    [`transforms.constant${n}.type`, 'org.apache.kafka.connect.transforms.InsertHeader'],
    [`transforms.constant${n}.header`, header],
    [`transforms.constant${n}.value.literal`, value],
  ]);
  return {
    transforms: ['outbox', ...names].join(','),
    ...outbox,
    // With `id`, which keeps its name, seven headers like the relay's.
    'transforms.outbox.table.fields.additional.placement':
      'type:header:ce_type,dataschema:header:ce_dataschema,sequence:header:ce_sequence',
    ...Object.fromEntries(inserts),
  };
}
