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
  const orders = `http://localhost:${orderPort}/orders`;
  const payments = `http://localhost:${paymentPort}/payment-requests`;
  const user = `-H 'X-User-Id: demo'`;
  const operator = `-H 'X-User-Id: ops' -H 'X-Roles: operator'`;
  const json = `-H 'Content-Type: application/json'`;
  // grep and cut are everywhere, jq is not.
  const idIn = (answer: string) => `$(curl -sS ${answer} | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4)`;
  const show = `curl -sSw '\\n'`;
  // Messages are on their way for a moment, so a line that needs what they bring waits for it, 10 s at most.
  const isNow = (status: string) =>
    `for i in $(seq 50); do curl -sS ${user} ${orders}/$ORDER | grep -q '"status":"${status}"' && break; sleep 0.2; done`;
  const place = `ORDER=${idIn(`${user} ${json} -d '{"items":[{"productId":"mug-stoneware","quantity":1}]}' ${orders}`)}`;
  const findPayment = `PAYMENT=${idIn(`${operator} "${payments}?orderId=$ORDER"`)}`;
  return `
Twinbox is running.

  order-service     http://localhost:${orderPort}   API: http://localhost:${orderPort}/docs   health: http://localhost:${orderPort}/health
  payment-service   http://localhost:${paymentPort}   API: http://localhost:${paymentPort}/docs   health: http://localhost:${paymentPort}/health
  PostgreSQL        ${database}
  Kafka             ${brokers}
  data, logs        ${data}, ${logs}

The life of an order, to paste. A cart of the user demo, and something in it:
  ORDER=${idIn(`${user} ${json} -d '{"draft":true}' ${orders}`)}
  ${show} ${user} ${json} -d '{"productId":"tea-earl-grey","quantity":2}' ${orders}/$ORDER/items

Place it, and look at it: it waits for its payment
  ${show} -X POST ${user} ${orders}/$ORDER/place
  ${isNow('PAYMENT_PENDING')}
  ${show} ${user} ${orders}/$ORDER

Mark its payment succeeded, as an operator, and the order finished:
  ${findPayment}
  ${show} -X POST ${operator} ${payments}/$PAYMENT/succeed
  ${isNow('COMPLETED')}
  ${show} -X POST ${operator} ${orders}/$ORDER/finish

Another order, whose payment fails:
  ${place}
  ${isNow('PAYMENT_PENDING')}
  ${findPayment}
  ${show} ${operator} ${json} -d '{"reason":"card declined"}' ${payments}/$PAYMENT/fail

And one that is cancelled:
  ${place}
  ${show} ${user} ${json} -d '{"reason":"Ordered twice."}' ${orders}/$ORDER/cancel

Everything that happened to it, and what happens to all orders, live:
  ${show} ${user} ${orders}/$ORDER/timeline
  curl -sSN ${operator} ${orders}/events

Ctrl-C stops everything and keeps the data.
`;
}
