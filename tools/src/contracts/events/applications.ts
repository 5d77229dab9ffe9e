import { Logger } from '@nestjs/common';
import { type TopicContract } from '@twinbox/messaging';
import { SERVICES } from '@twinbox/migrations/services';
import { built, builtApiKit, type ConfigClass } from '../../built.js';
import { OperationalError } from '../../errors.js';
import { DOCUMENTED_ENV } from '../documented-env.js';

/** A service, with the topics that it publishes to and consumes. */
export interface Application {
  readonly name: string;
  readonly publishes: readonly TopicContract[];
  readonly consumes: readonly { readonly topic: TopicContract; readonly group: string; readonly purpose: string }[];
}

/** Why a consumer reads its topic, by its name. */
const PURPOSES: Readonly<Record<string, string>> = {
  'order-process': 'An order follows its payment.',
  notifications: 'Customers are notified.',
  'payment-process': 'Each placed order gets a payment request.',
};

/** Returns all services with the topics and consumers of their messaging, under the default names. */
export async function applications(): Promise<readonly Application[]> {
  // Nest warns when one process defines the data sources of several services.
  Logger.overrideLogger(['error', 'fatal']);
  return await Promise.all(
    SERVICES.map(async ({ name }) => {
      const { publishes, consumes } = await messagingOf(name);
      return {
        name,
        publishes,
        consumes: consumes.map(({ topic, groupId: group, consumer: { description = '' } }) => {
          const purpose = PURPOSES[description];
          if (purpose === undefined)
            throw new OperationalError(
              `The consumer ${description} of ${name} has no purpose. Add it to tools/src/contracts/events/applications.ts.`,
            );
          return { topic, group, purpose };
        }),
      };
    }),
  );
}

/** The part used of the options of a service's messaging. */
interface Messaging {
  readonly publishes: readonly TopicContract[];
  readonly consumes: readonly { readonly consumer: symbol; readonly groupId: string; readonly topic: TopicContract }[];
}

interface Module {
  readonly providers?: readonly { readonly useValue?: object }[];
}

/** Returns the options that the service passes to `MessagingModule`. Nothing connects, because no application is created. */
async function messagingOf(name: string): Promise<Messaging> {
  const { loadConfig } = await builtApiKit();
  const [configClass] = Object.values((await built(`apps/${name}/dist/config.js`)) as Record<string, ConfigClass>);
  const { topology } = (await built(`apps/${name}/dist/topology.js`)) as {
    readonly topology: (config: object, options: object) => readonly Module[];
  };
  const modules = topology(loadConfig(configClass as ConfigClass, DOCUMENTED_ENV), {
    applicationName: name,
    entities: [],
    relay: false,
  });
  const values = modules.flatMap(({ providers = [] }) => providers.map(({ useValue }) => useValue));
  const messaging = values.find((value) => value !== undefined && 'publishes' in value && 'consumes' in value);
  if (!messaging) throw new OperationalError(`apps/${name}/src/topology.ts has no MessagingModule.`);
  return messaging as unknown as Messaging;
}
