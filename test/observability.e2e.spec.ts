import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createOrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient } from '@twinbox/client/payments';
import { OrderServiceService } from '@twinbox/contracts/grpc/orders';
import { type TestDatabase, until } from '@twinbox/messaging/testing';
import {
  createServiceDatabase,
  createServiceTopics,
  GrpcTestClient,
  type ServiceProcess,
  startService,
  stopServices,
} from '@twinbox/test-support';
import { freePort, root, runsPrometheusProgram } from '@twinbox/tools';
import { rulesOf } from './support/prometheus.js';
import { type PrometheusServer, startPrometheus } from './support/prometheus-server.js';

const DASHBOARDS = join(root, 'deploy/grafana/dashboards');
/** Words of the query language that look like metrics. */
const KEYWORDS = new Set(['histogram_quantile', 'label_replace', 'group_left', 'ignoring']);

let database: TestDatabase;
let orders: ServiceProcess;
let payments: ServiceProcess;
let prometheus: PrometheusServer;

/** The metrics that a service serves, by name; each has the names of its labels. */
async function served(): Promise<Map<string, Set<string>>> {
  const texts = await Promise.all([orders, payments].map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const metrics = new Map([['up', new Set<string>()]]);
  for (const [, name = '', labels = ''] of texts.join('\n').matchAll(/^([a-z_0-9]+)(?:\{(.*)\})? /gm)) {
    const known = metrics.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    metrics.set(name, known);
  }
  return metrics;
}

interface Target {
  readonly panel: string;
  readonly expr: string;
}

/** The queries of all panels, for all services and over as short a time as the test has. */
async function panels(): Promise<Target[]> {
  const files = await readdir(DASHBOARDS);
  const dashboards = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(DASHBOARDS, file), 'utf8');
      return JSON.parse(text) as {
        title: string;
        panels: { title: string; type: string; targets?: { expr: string }[] }[];
      };
    }),
  );
  return dashboards.flatMap(({ title, panels: all }) =>
    all.flatMap(({ title: panel, targets = [] }) =>
      targets.map(({ expr }) => ({
        panel: `${title}, ${panel}`,
        expr: expr.replaceAll('$job', '.+').replaceAll('$__rate_interval', '1m'),
      })),
    ),
  );
}

/** Orders something by REST and gRPC, and pays for it. */
async function complete(grpcPort: number): Promise<void> {
  const ada = createOrdersClient({ baseUrl: orders.url, devUser: { id: 'ada' } });
  const cashier = createPaymentsClient({ baseUrl: payments.url, devUser: { id: 'ops', roles: ['operator'] } });
  const { id: orderId } = await ada.createOrder({ items: [{ productId: 'tea', quantity: 1 }] });
  const grpc = new GrpcTestClient(`127.0.0.1:${grpcPort}`);
  const found = await grpc.call(OrderServiceService.getOrder, { orderId }, { headers: { 'x-user-id': 'ada' } });
  expect(found.response?.order?.id).toBe(orderId);
  grpc.close();
  const { id: paymentRequestId } = await until('the payment is requested', async () => {
    const { items } = await cashier.listPaymentRequests({ orderId }).page();
    return items[0];
  });
  await cashier.markPaymentSucceeded({ paymentRequestId });
  await until('the order is completed', async () => (await ada.getOrder({ orderId })).status === 'COMPLETED');
}

(runsPrometheusProgram('prometheus') ? describe : describe.skip)('Prometheus, when it scrapes both services,', () => {
  beforeAll(async () => {
    database = await createServiceDatabase();
    const topics = await createServiceTopics();
    const grpcPort = await freePort();
    const start = (name: 'order-service' | 'payment-service', role: 'orders' | 'payments', port: string) =>
      startService(name, { ...topics.env(name), GRPC_PORT: port, DATABASE_URL: database.urlFor(role, role) });
    [orders, payments] = await Promise.all([
      start('order-service', 'orders', String(grpcPort)),
      start('payment-service', 'payments', '0'),
    ]);
    prometheus = await startPrometheus({
      'order-service': new URL(orders.url).host,
      'payment-service': new URL(payments.url).host,
    });
    await complete(grpcPort);
  });

  afterAll(async () => {
    await prometheus.stop();
    await stopServices();
    await database.drop();
  });

  it('P9 finds series for the query of each panel', async () => {
    const targets = await panels();
    expect(targets.length).toBeGreaterThan(30);

    let missing: readonly Target[] = targets;
    await until('all panels have series', async () => {
      const found = await Promise.all(missing.map(async ({ expr }) => (await prometheus.query(expr)).length > 0));
      missing = missing.filter((_, index) => !found[index]);
      return missing.length === 0;
    }).catch(() => undefined);

    expect(missing).toEqual([]);
  });

  it('P9 is served every metric, with its labels, that a rule or a panel names', async () => {
    const rules = [...(await rulesOf('alerts.yml')), ...(await rulesOf('recording.yml'))];
    const recorded = new Set(rules.flatMap(({ record }) => record ?? []));
    const metrics = await served();
    const exprs = [...rules.map(({ expr }) => expr), ...(await panels()).map(({ expr }) => expr)];

    const named = exprs.flatMap((expr) => [
      ...expr.matchAll(/(?<![\w:"$.])([a-z][a-z0-9]*(?:[_:][a-z0-9_:]+)|up|orders)(?:\{([^}]*)\})?(?=[[)\s{]|$)/g),
    ]);

    const unknown = named.flatMap(([, name = '', labels = '']) => {
      if (KEYWORDS.has(name) || recorded.has(name)) return [];
      const known = metrics.get(name);
      if (!known) return [name];
      return [...labels.matchAll(/(\w+)\s*(?:=|!)/g)].flatMap(([, label = '']) =>
        label === 'job' || known.has(label) ? [] : [`${name}{${label}}`],
      );
    });
    expect(named.length).toBeGreaterThan(100);
    expect([...new Set(unknown)]).toEqual([]);
  });

  it('P9 is served every metric of the library that its page lists, with its type and labels, and no other', async () => {
    const text = await (await fetch(`${orders.url}/metrics`)).text();
    const metrics = await served();
    const page = await readFile(join(root, 'libs/messaging/docs/operations.md'), 'utf8');

    const listed = [...page.matchAll(/^\| `(messaging_\w+)`[ ∗]*\| (\w+) +\| ([^|]*)\|/gm)].map(
      ([, name, type, labels = '']) => ({ name, type, labels: [...labels.matchAll(/\w+/g)].flat().toSorted() }),
    );

    const types = [...text.matchAll(/^# TYPE (messaging_\w+) (\w+)$/gm)].map(([, name = '', type]) => ({ name, type }));
    const labelsOf = (name: string) => metrics.get(name) ?? metrics.get(`${name}_count`);
    const byName = (one: { name?: string | undefined }, other: { name?: string | undefined }) =>
      String(one.name).localeCompare(String(other.name));
    expect(listed.map(({ name, type }) => ({ name, type })).toSorted(byName)).toEqual(types.toSorted(byName));
    const shown = listed.filter(({ name = '' }) => labelsOf(name));
    expect(shown.length).toBeGreaterThan(20);
    for (const { name = '', labels } of shown)
      expect([name, labels]).toEqual([name, [...(labelsOf(name) ?? [])].toSorted()]);
  });

  it('P9 is served no metric that the documentation does not list, and lists none that is not served', async () => {
    const page = await readFile(join(root, 'docs/how-to/operate.md'), 'utf8');
    const names = [...(await served()).keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
    const rows = page.split('\n').filter((line) => /^\| `\w+`.*\| (gauge|counter|histogram) /.test(line));

    const listed = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name));

    // The library has its own list and test.
    const others = new Set(names.filter((name) => !/^(messaging|nodejs|process)_|^up$/.test(name)));
    expect(new Set(listed)).toEqual(others);
  });

  it('P9 evaluates the rules without an error', async () => {
    const recorded = await prometheus.query('job_consumer:messaging_consumer_lag_messages:sum');

    expect(new Set(recorded.map(({ metric }) => metric['job']))).toEqual(new Set(['order-service', 'payment-service']));
  });
});
