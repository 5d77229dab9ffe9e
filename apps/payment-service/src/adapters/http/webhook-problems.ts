/** Why a webhook is not even read, or cannot be. */
export const webhookProblems = {
  'webhook-not-genuine': { status: 401, title: 'The webhook is not signed by the provider, or not lately.' },
  'webhooks-not-configured': { status: 503, title: 'Webhooks are not accepted: WEBHOOK_SECRET is not set.' },
} as const;
