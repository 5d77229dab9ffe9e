import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SCHEMA_OF, type ServiceName } from '@twinbox/migrations/services';
import { createServiceDatabase, nameServiceTopics, PASSWORDS, startService, stopServices } from '@twinbox/test-support';
import { QUOTAS_FOR_LOAD } from '@twinbox/tools';
import { Alerts, type Target } from './alerts.js';
import { Deployment } from './deployment.js';
import { Faults } from './faults.js';
import { MailServer } from './mail-server.js';
import { Shell, type Variables } from './shell.js';
import { Shop } from './shop.js';

export type RunningSystem = Awaited<ReturnType<typeof startSystem>>;

/**
 * Starts both services as they are after a bad deployment: nobody has created the topics, and order-service has RELAY=off although no
 * separate relay runs.
 */
export async function startSystem() {
  const mails = new MailServer();
  const [database, mailUrl] = await Promise.all([createServiceDatabase(), mails.listen()]);
  const topics = nameServiceTopics();
  /** The environment of a service, with the consumer groups that the pages name. */
  const environmentOf = (name: ServiceName): Variables => {
    const schema = SCHEMA_OF[name];
    const groups = { CONSUMER_GROUP: name, NOTIFICATIONS_GROUP: `${name}-notifications` };
    return { ...topics.env(name), ...groups, DATABASE_URL: database.urlFor(schema, PASSWORDS[schema]) };
  };
  const mailSettings = { NOTIFIER: 'smtp', SMTP_URL: mailUrl, MAIL_DOMAIN: 'customers.example' };
  const ordersSettings = { ...mailSettings, ...QUOTAS_FOR_LOAD, RELAY: 'off', PAYMENT_LATE_AFTER: '1s' };
  const [orders, payments] = await Promise.all([
    startService('order-service', { ...environmentOf('order-service'), ...ordersSettings }),
    startService('payment-service', environmentOf('payment-service')),
  ]);
  const targets: Target[] = [orders, payments].map(({ name, url }) => ({ job: name, url }));
  const folder = await mkdtemp(join(tmpdir(), 'twinbox-runbooks-'));
  const addresses = { TWINBOX_ORDERS_URL: orders.url, TWINBOX_PAYMENTS_URL: payments.url };
  const shell = new Shell(folder, { ...addresses, TWINBOX_USER: 'olga', TWINBOX_ROLES: 'admin' });

  return {
    database,
    deployment: new Deployment(shell, environmentOf('order-service'), targets),
    mails,
    payments,
    /** The folder in which commands run. */
    folder,
    shell,
    /** What Prometheus scrapes. */
    targets,
    alerts: new Alerts(() => targets),
    faults: new Faults(database, topics),
    shop: new Shop(orders.url, payments.url),
    environmentOf,
    /** The environment of commands that administrators of the database run. */
    migration: {
      DATABASE_URL: database.url,
      ORDERS_DB_PASSWORD: PASSWORDS.orders,
      PAYMENTS_DB_PASSWORD: PASSWORDS.payments,
    },
    async stop(): Promise<void> {
      await shell.stop();
      await stopServices();
      await mails.close();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}
