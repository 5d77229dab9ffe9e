import { type ServiceName, SERVICES } from '@twinbox/migrations/services';

export interface Panel {
  readonly servicePorts: Readonly<Record<ServiceName, number>>;
  readonly database: string;
  readonly brokers: string;
  readonly data: string;
  readonly logs: string;
}

/** Returns the text shown once everything is running: addresses, commands to paste, and how to stop. */
export function panel({ servicePorts, database, brokers, data, logs }: Panel): string {
  const services = SERVICES.map(({ name }) => addresses(name, servicePorts[name])).join('\n');
  const orders = `http://localhost:${servicePorts['order-service']}/orders`;
  const payments = `http://localhost:${servicePorts['payment-service']}/payment-requests`;
  const user = `-H 'X-User-Id: demo'`;
  const operator = `-H 'X-User-Id: ops' -H 'X-Roles: operator'`;
  const json = `-H 'Content-Type: application/json'`;
  // grep and cut are available everywhere; jq is not.
  const idIn = (answer: string) => `$(curl -sS ${answer} | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4)`;
  const show = `curl -sSw '\\n'`;
  // Messages take a moment to arrive, so a command that depends on one waits for it, for 10 s at most.
  const isNow = (status: string) =>
    `for i in $(seq 50); do curl -sS ${user} ${orders}/$ORDER | grep -q '"status":"${status}"' && break; sleep 0.2; done`;
  const place = `ORDER=${idIn(`${user} ${json} -d '{"items":[{"productId":"mug-stoneware","quantity":1}]}' ${orders}`)}`;
  const findPayment = `PAYMENT=${idIn(`${operator} "${payments}?orderId=$ORDER"`)}`;
  return `
Twinbox is running.

${services}
  PostgreSQL        ${database}
  Kafka             ${brokers}
  data, logs        ${data}, ${logs}

The life of an order, to paste. Create a cart for the user demo and add a product to it:
  ORDER=${idIn(`${user} ${json} -d '{"draft":true}' ${orders}`)}
  ${show} ${user} ${json} -d '{"productId":"tea-earl-grey","quantity":2}' ${orders}/$ORDER/items

Place it and show it. It is now waiting for its payment:
  ${show} -X POST ${user} ${orders}/$ORDER/place
  ${isNow('PAYMENT_PENDING')}
  ${show} ${user} ${orders}/$ORDER

As an operator, mark its payment as succeeded and the order as finished:
  ${findPayment}
  ${show} -X POST ${operator} ${payments}/$PAYMENT/succeed
  ${isNow('COMPLETED')}
  ${show} -X POST ${operator} ${orders}/$ORDER/finish

Place another order, and let its payment fail:
  ${place}
  ${isNow('PAYMENT_PENDING')}
  ${findPayment}
  ${show} ${operator} ${json} -d '{"reason":"card declined"}' ${payments}/$PAYMENT/fail

Place an order and cancel it:
  ${place}
  ${show} ${user} ${json} -d '{"reason":"Ordered twice."}' ${orders}/$ORDER/cancel

Show its history, then follow all orders live:
  ${show} ${user} ${orders}/$ORDER/timeline
  curl -sSN ${operator} ${orders}/events

Ctrl-C stops everything and keeps the data.
`;
}

function addresses(name: ServiceName, port: number): string {
  const url = `http://localhost:${port}`;
  return `  ${name.padEnd(15)}   ${url}   API: ${url}/docs   health: ${url}/health`;
}
