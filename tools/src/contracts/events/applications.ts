import { ORDER_EVENTS, PAYMENT_EVENTS } from '@twinbox/contracts';
import { type TopicContract } from '@twinbox/messaging';
import { SERVICES } from '@twinbox/migrations/services';
import { built } from '../../built.js';
import { OperationalError } from '../../errors.js';

/** A service, with the topics that it publishes to and consumes. */
export interface Application {
  readonly name: string;
  readonly publishes: TopicContract;
  readonly consumes: readonly { readonly topic: TopicContract; readonly group: string; readonly purpose: string }[];
}

type Consumption = readonly [topic: TopicContract, groupVariable: string, purpose: string];

const topology: Readonly<
  Record<string, { readonly publishes: TopicContract; readonly consumes: readonly Consumption[] }>
> = {
  'order-service': {
    publishes: ORDER_EVENTS,
    consumes: [
      [PAYMENT_EVENTS, 'CONSUMER_GROUP', 'An order follows its payment.'],
      [ORDER_EVENTS, 'NOTIFICATIONS_GROUP', 'Customers are notified.'],
    ],
  },
  'payment-service': {
    publishes: PAYMENT_EVENTS,
    consumes: [[ORDER_EVENTS, 'CONSUMER_GROUP', 'Each placed order gets a payment request.']],
  },
};

/** Returns all services, with the default names of their consumer groups. */
export async function applications(): Promise<readonly Application[]> {
  return await Promise.all(
    SERVICES.map(async ({ name }) => {
      const { publishes, consumes } = topology[name] ?? {};
      if (!publishes || !consumes)
        throw new OperationalError(`${name} is missing in tools/src/contracts/events/applications.ts.`);
      const config = await defaultsOf(name);
      return {
        name,
        publishes,
        consumes: consumes.map(([topic, variable, purpose]) => ({ topic, group: String(config[variable]), purpose })),
      };
    }),
  );
}

async function defaultsOf(service: string): Promise<Readonly<Record<string, unknown>>> {
  const classes = (await built(`apps/${service}/dist/config.js`)) as Record<string, new () => Record<string, unknown>>;
  const [configClass] = Object.values(classes);
  return configClass ? new configClass() : {};
}
