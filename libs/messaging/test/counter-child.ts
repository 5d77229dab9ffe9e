import { type InboxOptions } from '#src/messaging-options.js';
import { Child } from './child.js';
import { type Sandbox } from './sandbox.js';

/**
 * Starts a child process of the consuming service, which stops cleanly on SIGTERM. `next` is the source code of a function of
 * `(n, tx, message)` that the handler calls after recording the effect.
 */
export function startCounterChild(
  { options, consumer }: Sandbox,
  { next = '() => undefined', ...more }: Partial<InboxOptions> & { next?: string } = {},
): Child {
  const topic = { ...consumer.topic, events: {} };
  return Child.start(
    `
      import { DataSource } from 'typeorm';
      import { CounterController, startCounter } from '../test/dist/counter-process.js';
      import { Counted, COUNTER } from '../test/dist/sandbox.js';

      const { options, consumer } = JSON.parse(process.env.OPTIONS);
      consumer.consumer = COUNTER;
      consumer.topic.events = { Counted };
      const dataSource = await new DataSource({ type: 'postgres', url: options.databaseUrl }).initialize();
      CounterController.next = ${next};
      const app = await startCounter({ options, consumer, dataSource });
      process.once('SIGTERM', () => void app.close().then(() => process.exit()));`,
    {
      OPTIONS: JSON.stringify({
        options: { ...options, publishes: [], consumes: [] },
        consumer: { ...consumer, ...more, topic },
      }),
    },
  );
}
