import { readFileSync } from 'node:fs';
import { type ClientOptions, type Role } from '@twinbox/client';
import { type AdminClient, createAdminClient } from '@twinbox/client/admin';
import { createOrdersClient, type OrdersClient } from '@twinbox/client/orders';
import { createPaymentsClient, type PaymentsClient } from '@twinbox/client/payments';
import { CommandFailed, UsageError } from './failures.js';

type Environment = Readonly<Record<string, string | undefined>>;

export const SERVICES = ['orders', 'payments'] as const;
export type ServiceName = (typeof SERVICES)[number];

const ADDRESSES: Readonly<Record<ServiceName, { readonly variable: string; readonly local: string }>> = {
  orders: { variable: 'TWINBOX_ORDERS_URL', local: 'http://localhost:8081' },
  payments: { variable: 'TWINBOX_PAYMENTS_URL', local: 'http://localhost:8082' },
};
const ROLES: readonly string[] = ['customer', 'operator', 'admin'];
const ATTEMPTS = 3;
/** How long one attempt may take, so that there is time for another one if a service does not answer. */
const ATTEMPT_MS = 10_000;

/** The clients of both services, which act for the caller that the environment names. */
export class Connections {
  private readonly caller: Pick<ClientOptions, 'token' | 'devUser'>;

  /** @throws CommandFailed if the environment names no caller */
  constructor(
    private readonly environment: Environment,
    private readonly timeoutMs: number,
    private readonly signal?: AbortSignal,
  ) {
    this.caller = callerOf(environment);
  }

  get orders(): OrdersClient {
    return createOrdersClient(this.optionsFor('orders'));
  }

  get payments(): PaymentsClient {
    return createPaymentsClient(this.optionsFor('payments'));
  }

  admin(service: ServiceName): AdminClient {
    return createAdminClient(this.optionsFor(service));
  }

  /** Returns how to reach a service. @throws UsageError if its address is not a URL */
  optionsFor(service: ServiceName): ClientOptions {
    const { variable, local } = ADDRESSES[service];
    const baseUrl = this.environment[variable] || local;
    if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl))
      throw new UsageError(`${variable} is not the address of a service, such as ${local}.`);
    const { timeoutMs: totalMs, signal } = this;
    const attemptMs = Math.min(ATTEMPT_MS, totalMs);
    return { baseUrl, ...this.caller, attempts: ATTEMPTS, attemptMs, totalMs, ...(signal && { signal }) };
  }
}

function callerOf(environment: Environment): Pick<ClientOptions, 'token' | 'devUser'> {
  const { TWINBOX_TOKEN, TWINBOX_TOKEN_FILE, TWINBOX_USER, TWINBOX_ROLES = 'operator' } = environment;
  if (TWINBOX_TOKEN) return { token: checked(TWINBOX_TOKEN, 'TWINBOX_TOKEN') };
  if (TWINBOX_TOKEN_FILE) {
    tokenIn(TWINBOX_TOKEN_FILE);
    // Read for each request, because another program may replace the token while an operation is followed.
    return { token: () => tokenIn(TWINBOX_TOKEN_FILE) };
  }
  if (!TWINBOX_USER)
    throw new CommandFailed(
      'There is no access token. Set TWINBOX_TOKEN, or TWINBOX_TOKEN_FILE to the path of a file that has it. A service with ' +
        'AUTH_MODE=dev needs TWINBOX_USER instead, and TWINBOX_ROLES=admin for changes.',
    );
  const roles = TWINBOX_ROLES.split(',').map((role) => role.trim());
  if (!roles.every((role): role is Role => ROLES.includes(role)))
    throw new UsageError(`TWINBOX_ROLES may contain ${ROLES.join(', ')}, separated by commas.`);
  return { devUser: { id: TWINBOX_USER, roles } };
}

function tokenIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandFailed(`TWINBOX_TOKEN_FILE cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return checked(text, `The file of TWINBOX_TOKEN_FILE (${file})`);
}

/** The error that `fetch` throws for an invalid header would show the token. */
function checked(text: string, place: string): string {
  const token = text.trim();
  if (!/^[\x21-\x7E]+$/.test(token))
    throw new CommandFailed(`${place} has no valid access token. It must be one word of ASCII characters.`);
  return token;
}
