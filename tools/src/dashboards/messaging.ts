import { type DashboardPlan, quantiles, rate, shared } from './panels.js';

export const messaging: DashboardPlan = {
  uid: 'twinbox-messaging',
  title: 'Twinbox: messaging',
  description: 'The way of a message: outbox, relay, topic, inbox and jobs, and what is stuck on it.',
  rows: [
    {
      title: 'Outbox and relay',
      panels: [
        {
          title: 'Unpublished messages',
          description: 'Ready: published next. Held: behind a dead letter of their key. Blocked: their topic fails.',
          queries: [shared('messaging_outbox_unpublished_messages', 'state', '{{state}}')],
        },
        {
          title: 'Age of the oldest unpublished message',
          description: 'OutboxNotPublished fires beyond 30 s.',
          unit: 's',
          queries: [shared('messaging_outbox_oldest_unpublished_age_seconds', 'state', '{{state}}')],
        },
        {
          title: 'Published messages',
          description: 'By topic, and the sends that failed.',
          unit: 'mps',
          queries: [
            rate('messaging_outbox_published_total', 'topic', '{{topic}}'),
            rate('messaging_outbox_send_failures_total', 'topic', '{{topic}} failed sends'),
          ],
        },
        {
          title: 'From commit to Kafka',
          description: 'How long messages waited from when they were written until Kafka acknowledged them.',
          unit: 's',
          queries: quantiles('messaging_outbox_publish_latency_seconds'),
        },
        {
          title: 'Leaders',
          description: 'Exactly one relay of a service leads.',
          queries: [{ expr: 'sum by (job) (messaging_relay_leader)', legend: '{{job}}' }],
        },
        {
          title: 'Gaps',
          description: 'Positions that open transactions have taken, and the age of the oldest gap.',
          queries: [
            { expr: 'max by (job) (messaging_relay_gaps)', legend: '{{job}} gaps' },
            { expr: 'max by (job) (messaging_relay_oldest_gap_age_seconds)', legend: '{{job}} age of the oldest, s' },
          ],
        },
      ],
    },
    {
      title: 'Consumers',
      panels: [
        {
          title: 'Lag',
          description: 'Messages of the topic that the consumer has not committed.',
          queries: [
            {
              expr: 'sum by (job, consumer) (max by (job, consumer, topic, partition) (messaging_consumer_lag_messages))',
              legend: '{{consumer}}',
            },
          ],
        },
        {
          title: 'Messages by outcome',
          description: 'Processed, duplicates, ignored, parked and dead.',
          unit: 'mps',
          queries: [rate('messaging_inbox_messages_total', 'consumer, outcome', '{{consumer}} {{outcome}}')],
        },
        {
          title: 'Failed attempts and setbacks',
          description: 'Failures of handlers, and failures of the environment, which do not count as attempts.',
          unit: 'ops',
          queries: [
            rate('messaging_inbox_failed_attempts_total', 'consumer', '{{consumer}} failed'),
            rate('messaging_inbox_setbacks_total', 'consumer', '{{consumer}} setbacks'),
          ],
        },
        {
          title: 'Parked messages',
          description: 'They wait for their next attempt, or behind another message of their key.',
          queries: [shared('messaging_inbox_parked_messages', 'consumer', '{{consumer}}')],
        },
        {
          title: 'Age of the oldest parked message',
          description: 'A message behind a dead letter waits for an operator.',
          unit: 's',
          queries: [shared('messaging_inbox_oldest_parked_age_seconds', 'consumer', '{{consumer}}')],
        },
        {
          title: 'Dead letters',
          description: 'They wait for an operator.',
          queries: [
            shared('messaging_inbox_dead_letters', 'consumer', '{{consumer}}'),
            shared('messaging_outbox_dead_letters', 'topic', 'outbox {{topic}}'),
          ],
        },
      ],
    },
    {
      title: 'Jobs and operators',
      panels: [
        {
          title: 'Jobs',
          description: 'By queue and state.',
          queries: [shared('messaging_jobs', 'queue, state', '{{queue}} {{state}}')],
        },
        {
          title: 'Age of the oldest due job',
          description: 'JobsOverdue fires beyond 60 s.',
          unit: 's',
          queries: [shared('messaging_jobs_oldest_due_age_seconds', 'queue', '{{queue}}')],
        },
        {
          title: 'Attempts of jobs',
          description: 'By queue and outcome.',
          unit: 'ops',
          queries: [rate('messaging_job_attempts_total', 'queue, outcome', '{{queue}} {{outcome}}')],
        },
        {
          title: 'Operators',
          description: 'Open operations and incidents, and what is paused.',
          queries: [
            shared('messaging_operations', 'kind', 'operation {{kind}}'),
            shared('messaging_incidents_open', 'kind', 'incident {{kind}}'),
            shared('messaging_paused', 'kind, name', 'paused {{kind}} {{name}}'),
          ],
        },
      ],
    },
  ],
};
