export interface Panel {
  readonly orderPort: number;
  readonly paymentPort: number;
  readonly database: string;
  readonly brokers: string;
  readonly data: string;
  readonly logs: string;
}

/** What a person needs once everything runs: where it is, lines to paste, and how to stop. */
export function panel({ orderPort, paymentPort, database, brokers, data, logs }: Panel): string {
  const orders = `http://localhost:${orderPort}`;
  const payments = `http://localhost:${paymentPort}`;
  const user = `-H 'X-User-Id: demo'`;
  const operator = `-H 'X-User-Id: ops' -H 'X-Roles: operator'`;
  const json = `-H 'Content-Type: application/json'`;
  // Lists are newest first; grep and cut are everywhere, jq is not.
  const newest = (list: string) => `$(curl -sS ${list} | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4)`;
  const pending = newest(`${operator} '${payments}/payment-requests?status=PENDING'`);
  const order = newest(`${user} ${orders}/orders`);
  return `
Twinbox is running.

  order-service     ${orders}   API: ${orders}/docs   health: ${orders}/health
  payment-service   ${payments}   API: ${payments}/docs   health: ${payments}/health
  PostgreSQL        ${database}
  Kafka             ${brokers}
  data, logs        ${data}, ${logs}

Place an order, as the user demo:
  curl -sSw '\\n' ${user} ${json} -d '{"items":[{"productId":"tea-earl-grey","quantity":2}]}' ${orders}/orders

Mark its payment succeeded, as an operator (it takes the newest pending one):
  curl -sSw '\\n' -X POST ${operator} "${payments}/payment-requests/${pending}/succeed"

… or failed:
  curl -sSw '\\n' ${operator} ${json} -d '{"reason":"card declined"}' "${payments}/payment-requests/${pending}/fail"

Watch the newest order: PLACED → PAYMENT_PENDING → COMPLETED or CANCELLED
  curl -sSw '\\n' ${user} "${orders}/orders/${order}"

Ctrl-C stops everything and keeps the data.
`;
}
