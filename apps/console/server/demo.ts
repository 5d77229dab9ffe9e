import { createOrdersClient, type OrdersClient } from '@twinbox/client/orders';
import { Logger } from '@nestjs/common';
import { commonProblems, ProblemException } from '@twinbox/api-kit/edge';
import type { FastifyInstance } from 'fastify';
import type { CallerSession } from './caller-session.js';
import type { ConsoleConfig } from './config.js';
import { DEV_USERS, devHeaders } from './dev-users.js';
import { problem } from './problems.js';
import type { Session } from './sessions.js';

/** The most orders of one run. */
const MAX_ORDERS = 50;
const CONCURRENCY = 4;

/** How far the latest run is. */
export interface DemoProgress {
  readonly running: boolean;
  readonly requested: number;
  readonly placed: number;
  readonly failed: number;
}

/** Places orders on a demo stack, one run at a time. With AUTH_MODE=dev they belong to the demo customers, otherwise to the user. */
export class DemoOrders {
  private readonly logger = new Logger('Demo');
  private readonly stopping = new AbortController();
  private progress: DemoProgress = { running: false, requested: 0, placed: 0, failed: 0 };

  constructor(
    private readonly config: ConsoleConfig,
    private readonly caller: CallerSession,
  ) {}

  addRoutes(server: FastifyInstance): void {
    server.addHook('onClose', (_, done) => {
      this.stopping.abort();
      done();
    });
    server.get('/demo/orders', (request) => {
      this.caller.require(request);
      return this.progress;
    });
    server.post('/demo/orders', async (request, reply) => {
      const session = this.caller.require(request);
      const count = countOf(request.body);
      if (this.progress.running) throw problem('demo-running');
      // Before the first wait, so that two clicks start one run.
      this.progress = { running: true, requested: count, placed: 0, failed: 0 };
      void this.run(count, session);
      return reply.code(202).send(this.progress);
    });
  }

  private async run(count: number, session: Session): Promise<void> {
    try {
      const products = await this.productsFor(session);
      const numbers = Array.from({ length: count }, (_, n) => n).values();
      const worker = async () => {
        for (const n of numbers) await this.place(n, session, products);
      };
      // All of them have ended before another run can begin.
      const ended = await Promise.allSettled(Array.from({ length: CONCURRENCY }, worker));
      for (const result of ended) if (result.status === 'rejected') throw result.reason;
    } catch (error) {
      this.logger.warn({ err: error }, 'No demo orders could be placed.');
    } finally {
      const { requested, placed } = this.progress;
      this.progress = { ...this.progress, running: false, failed: requested - placed };
    }
  }

  private async productsFor(session: Session): Promise<string[]> {
    const client = await this.clientFor(0, session);
    const { items } = await client.listProducts({ limit: 100 }, { signal: this.stopping.signal }).page();
    return items.filter(({ available }) => available > 0).map(({ id }) => id);
  }

  /** An order that is refused, for example because the stock is gone, does not end the run. */
  private async place(n: number, session: Session, products: readonly string[]): Promise<void> {
    const productId = products[(n * 7) % products.length];
    try {
      if (productId === undefined) throw new Error('There is nothing to order.');
      const client = await this.clientFor(n, session);
      await client.createOrder({ items: [{ productId, quantity: 1 + (n % 2) }] }, { signal: this.stopping.signal });
      this.progress = { ...this.progress, placed: this.progress.placed + 1 };
    } catch {
      this.stopping.signal.throwIfAborted();
      session.signal.throwIfAborted();
      this.progress = { ...this.progress, failed: this.progress.failed + 1 };
    }
  }

  private async clientFor(n: number, session: Session): Promise<OrdersClient> {
    const customers = DEV_USERS.filter(({ roles }) => roles.includes('customer'));
    const customer = customers[n % customers.length];
    const headers =
      this.config.AUTH_MODE === 'dev' && customer ? devHeaders(customer) : await session.credentials.headers();
    return createOrdersClient({ baseUrl: this.config.ORDERS_URL, headers });
  }
}

function countOf(body: unknown): number {
  const { count = MAX_ORDERS } = (body ?? {}) as { count?: unknown };
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MAX_ORDERS) return count;
  const { status, title } = commonProblems.validation;
  const detail = `count must be a whole number from 1 to ${MAX_ORDERS}.`;
  throw new ProblemException({ code: 'validation', status, title, detail });
}
