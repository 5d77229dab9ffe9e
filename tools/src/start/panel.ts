import { type ServiceName, SERVICES } from '@twinbox/migrations/services';
import { consoleUrlOn, issuerOn, tokenUrlOn } from './config.js';

export interface Panel {
  readonly servicePorts: Readonly<Record<ServiceName, number>>;
  readonly grpcPorts: Readonly<Record<ServiceName, number>>;
  readonly consolePort: number;
  readonly oidcPort: number | undefined;
  readonly database: string;
  readonly brokers: string;
  readonly data: string;
  readonly logs: string;
}

/** Returns the text shown once everything is running: addresses, commands to paste, and how to stop. */
export function panel({ oidcPort, database, brokers, data, logs, ...ports }: Panel): string {
  const orders = `http://localhost:${ports.servicePorts['order-service']}/orders`;
  const payments = `http://localhost:${ports.servicePorts['payment-service']}/payment-requests`;
  const { user, operator, provider, login, health } = oidcPort === undefined ? TRUSTED : withTokens(oidcPort);
  const { pages, services } = addressesOf(ports, health);
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

${pages}
${services}
${provider}  PostgreSQL        ${database}
  Kafka             ${brokers}
  data, logs        ${data}, ${logs}

The life of an order, to paste. ${login}Create a cart for the user demo and add a product to it:
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

/** How the commands identify their users. */
interface Login {
  readonly user: string;
  readonly operator: string;
  readonly provider: string;
  readonly login: string;
  /** The health check that a browser can show. */
  readonly health: string;
}

const TRUSTED: Login = {
  user: `-H 'X-User-Id: demo'`,
  operator: `-H 'X-User-Id: ops' -H 'X-Roles: operator'`,
  provider: '',
  login: '',
  health: '/health',
};

function withTokens(oidcPort: number): Login {
  const token = (user: string) =>
    `$(curl -sS -u ${user}:${user} -d grant_type=client_credentials ${tokenUrlOn(oidcPort)} | ` +
    `grep -o '"access_token":"[^"]*"' | cut -d'"' -f4)`;
  return {
    user: '-H "Authorization: Bearer $DEMO"',
    operator: '-H "Authorization: Bearer $OPS"',
    provider: `  OpenID provider   ${issuerOn(oidcPort)}   users demo, ops and admin, each with its name as the password\n`,
    login: `Fetch the access tokens of demo and ops, which are valid for an hour:
  DEMO=${token('demo')}
  OPS=${token('ops')}

`,
    // Detailed health requires a token.
    health: '/health/ready',
  };
}

function addressesOf(
  { servicePorts, grpcPorts, consolePort }: Pick<Panel, 'servicePorts' | 'grpcPorts' | 'consolePort'>,
  health: string,
): { readonly pages: string; readonly services: string } {
  return {
    pages: `  console           ${consoleUrlOn(consolePort)}   payments, orders, messaging and a small shop in the browser`,
    services: SERVICES.map(({ name }) =>
      addresses(name, { port: servicePorts[name], grpcPort: grpcPorts[name], health }),
    ).join('\n'),
  };
}

interface Addresses {
  readonly port: number;
  readonly grpcPort: number;
  readonly health: string;
}

function addresses(name: ServiceName, { port, grpcPort, health }: Addresses): string {
  const url = `http://localhost:${port}`;
  return `  ${name.padEnd(15)}   ${url}   API: ${url}/docs   health: ${url}${health}   gRPC: localhost:${grpcPort}`;
}
