export const webhookProblems = {
  'webhook-not-genuine': { status: 401, title: 'The signature of the webhook is invalid or too old.' },
  'webhooks-not-configured': { status: 503, title: 'Webhooks are not accepted because WEBHOOK_SECRET is not set.' },
} as const;
