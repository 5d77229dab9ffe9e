import { until } from '@twinbox/messaging/testing';
import { runsBrowser } from '@twinbox/test-support/browser';
import { type Page } from 'playwright-core';
import { violationsOf } from './accessibility.js';
import { type BrowserConsole, startBrowserConsole, type UserId } from './browser-console.js';
import { aDeadJob, deadLetters } from './dead-items.js';

const describeInBrowser = runsBrowser ? describe : describe.skip;

describeInBrowser(`messaging and the shop in Chromium${runsBrowser ? '' : ', which is not installed'}`, () => {
  let running: BrowserConsole;
  const sql: BrowserConsole['database']['sql'] = (...args) => running.database.sql(...args);
  const letters = (values: Parameters<typeof deadLetters>[2]) => deadLetters(running.database, running.topics, values);

  beforeAll(async () => {
    running = await startBrowserConsole();
  });

  afterEach(async () => {
    await sql('delete from payments.inbox_parked');
  });

  afterAll(async () => {
    await running?.stop();
  });

  /** Opens a page, and closes it at the end. */
  async function on<T>(user: UserId, path: string, use: (page: Page) => Promise<T>): Promise<T> {
    const page = await running.open(user, path);
    page.setDefaultTimeout(15_000);
    try {
      return await use(page);
    } finally {
      await page.close();
    }
  }

  const waitForRequest = (orderId: string) =>
    until('its payment is requested', async () => {
      const rows = await sql('select 1 from payments.payment_requests where order_id = $1', [orderId]);
      return rows.length === 1;
    });

  /** Returns the audit entries of an action on a letter. */
  const audited = (action: string) =>
    sql<{ actor: string; reason: string | null }>(
      `select actor, reason from payments.messaging_audit where action = $1 and outcome = 'done' order by id desc`,
      [action],
    );

  const button = (page: Page, name: string | RegExp) =>
    page.getByRole('button', { name, exact: typeof name === 'string' });
  const dialog = (page: Page, name: RegExp) => page.getByRole('dialog', { name });

  describe('dead letters', () => {
    it('are retried after a question, and processed', async () => {
      const [letter] = await letters({});

      await on('admin', '/messaging/payments/dead-letters', async (page) => {
        await page.getByRole('link', { name: `inbox/${letter!.id}`, exact: true }).click();
        await button(page, 'Retry').click();
        await dialog(page, /^Retry this/)
          .getByRole('button', { name: 'Retry' })
          .click();
        await page.getByText('The dead letter is retried now.').waitFor();
        await page.getByText('There are no dead letters in the inbox.').waitFor();
      });

      await waitForRequest(letter!.orderId);
    });

    it('are edited at the place that the service complains about', async () => {
      const [letter] = await letters({ payload: { total: '900', currency: 'EURO' } });

      await on('admin', `/messaging/payments/dead-letters?box=inbox&letter=${letter!.id}`, async (page) => {
        await button(page, 'Edit and retry').click();
        const editor = page.getByLabel('Content (JSON)');
        const broken = await editor.inputValue();
        await editor.fill(broken.replace('"900",', '"900"'));
        await page.getByText('The content is not valid').waitFor();
        expect(await button(page, 'Save and retry').isDisabled()).toBe(true);
        await editor.fill(broken.replace('"EURO"', '"EUR"'));
        await page.getByLabel('Reason').fill('The sender has quoted the total.');
        await button(page, 'Save and retry').click();
        await button(page, /^#\/total/).click();
        expect(await editor.evaluate(selectedText)).toBe('"900"');
        await editor.fill(broken.replace('"EURO"', '"EUR"').replace('"900"', '900'));
        await button(page, 'Save and retry').click();
        await page.getByText('The dead letter is changed, and retried now.').waitFor();
      });

      await waitForRequest(letter!.orderId);
      expect((await audited('edit'))[0]).toEqual({ actor: 'admin', reason: 'The sender has quoted the total.' });
    });

    it('are discarded once, although the button is clicked twice', async () => {
      const [letter] = await letters({});

      await on('admin', `/messaging/payments/dead-letters?box=inbox&letter=${letter!.id}`, async (page) => {
        await button(page, 'Discard').click();
        const asked = dialog(page, /for good/);
        expect(await asked.getByRole('button', { name: 'Discard' }).isDisabled()).toBe(true);
        await asked.getByLabel('Reason').fill('A test message.');
        await asked.getByRole('button', { name: 'Discard' }).dblclick();
        await page.getByText('The dead letter is discarded.').waitFor();
      });

      expect(await audited('discard')).toEqual([{ actor: 'admin', reason: 'A test message.' }]);
    });

    it('are retried by cause in steps of a canary, after a dry run', async () => {
      const [matching] = await Promise.all([
        letters({ count: 4, error: 'The total of order 17 is missing' }),
        letters({ error: 'The gateway was away' }),
      ]);

      await on('admin', '/messaging/payments/dead-letters', async (page) => {
        await button(page, /The total of order/).click();
        await page.getByText('All 4 dead letters in the inbox.').waitFor();
        await button(page, 'Retry these dead letters …').click();
        await page.getByText('4 dead letters', { exact: true }).waitFor();
        expect(await page.getByLabel('Canary').isChecked()).toBe(true);
        await button(page, 'Retry 4').click();
        await page.getByText(/^4 of 4, in/).waitFor();
      });

      for (const { orderId } of matching) await waitForRequest(orderId);
      expect(await sql('select error from payments.inbox_parked where dead_at is not null')).toEqual([
        { error: 'The gateway was away' },
      ]);
    });

    it('are a list of which only the visible rows exist, and that loads as it is scrolled', async () => {
      await letters({ count: 350 });

      await on('ops', '/messaging/payments/dead-letters', async (page) => {
        const region = page.getByRole('region', { name: 'Dead letters' });
        await region.waitFor();
        await until('everything is loaded', async () => {
          await region.evaluate(scrollToEnd);
          return page.getByText('All 350 dead letters in the inbox.').isVisible();
        });
        await region.getByRole('row').last().waitFor();
        expect(await region.getByRole('row').count()).toBeLessThan(60);
        expect(await region.locator('[aria-rowindex="351"]').isVisible()).toBe(true);
      });
    });
  });

  it('discards a dead job with a reason', async () => {
    const id = await aDeadJob(running.database, 'The gateway answered 503');

    await on('admin', `/messaging/payments/dead-jobs?job=${id}`, async (page) => {
      await button(page, 'Discard').click();
      const asked = dialog(page, /for good/);
      await asked.getByLabel('Reason').fill('Charged by hand.');
      await asked.getByRole('button', { name: 'Discard' }).click();
      await page.getByText('The dead job is discarded.').waitFor();
    });

    expect(await sql('select 1 from payments.jobs where id = $1', [id])).toEqual([]);
  });

  it('pauses a consumer with a reason, shows it as paused, and resumes it', async () => {
    await on('admin', '/messaging/payments', async (page) => {
      const name = running.topics.env('payment-service')['CONSUMER_GROUP']!;
      await button(page, `Pause the consumer ${name}`).click();
      await page.getByLabel('Reason').fill('The provider is down.');
      await dialog(page, /^Pause/)
        .getByRole('button', { name: 'Pause' })
        .click();
      await page.getByText('The provider is down.', { exact: true }).waitFor();
      await page.getByRole('status', { name: 'Problems' }).getByText('paused', { exact: true }).waitFor();
      await button(page, `Resume the consumer ${name}`).click();
      await dialog(page, /^Resume/)
        .getByRole('button', { name: 'Resume' })
        .click();
      await page.getByText('Everything is healthy.').waitFor();
    });
  });

  it('draws the picture of the flow in the colors of the theme', async () => {
    await on('ops', '/messaging/orders', async (page) => {
      const frame = page.locator('svg[role=group] rect').nth(1);
      await frame.waitFor();
      expect(await frame.evaluate(strokeOf)).toMatch(/^rgb/);
    });
  });

  it('moves the cursor of a chart by keyboard, and says what is there', async () => {
    await on('ops', '/messaging/orders', async (page) => {
      const cursor = page.getByRole('figure', { name: 'Messages per second' }).getByRole('slider');
      await until('there are some readings', async () => Number(await cursor.getAttribute('aria-valuemax')) >= 2);
      await cursor.press('Home');
      expect(await cursor.getAttribute('aria-valuenow')).toBe('0');
      expect(await cursor.getAttribute('aria-valuetext')).toMatch(/^\d\d:\d\d:\d\d: published [\d.]+\/s/);
    });
  });

  it('replays what a dry run has found, as an operation that the audit names', async () => {
    await on('demo', '/shop', async (page) => order(page, 'Mug'));

    await on('admin', '/messaging/orders/replay', async (page) => {
      await button(page, 'Count what matches').click();
      await page.getByText('Fill in a filter, or choose everything.').waitFor();
      await page.getByLabel('Event type').fill('OrderPlaced');
      await until('the message is published', async () => {
        await button(page, 'Count what matches').click();
        const nothing = page.getByText('The outbox has no such message.');
        await nothing.or(dialog(page, /^Publish these/)).waitFor();
        return !(await nothing.isVisible());
      });
      await page.getByLabel('Reason').fill('A new consumer.');
      await button(page, /^Replay \d+/).click();
      await page.getByText(/^\d+ of \d+, in/).waitFor();
      await page.getByRole('link', { name: 'What it has done, in the audit' }).click();
      await page.getByRole('table', { name: 'Audit' }).getByText('A new consumer.').first().waitFor();
    });
  });

  /** Buys one piece of a product, and returns the id of the order. */
  async function order(page: Page, product: string): Promise<string> {
    await page.getByLabel('Search the catalogue').fill(product.toLowerCase());
    await page.waitForURL(/[?]q=/);
    await button(page, new RegExp(`^Add ${product} to the cart`)).click();
    await page.getByRole('link', { name: /^Cart: 1 piece/ }).click();
    await button(page, 'Place the order').click();
    await page.waitForURL(/\/shop\/orders\/[\da-f-]{36}$/);
    return page.url().slice(-36);
  }

  describe('the shop', () => {
    it('leads from the search to a paid order, whose changes appear live', async () => {
      const { colleague } = running;

      await on('demo', '/shop', async (page) => {
        const orderId = await order(page, 'Tea');
        await page.getByText('Payment requested').waitFor();
        const { items } = await colleague.listPaymentRequests({ orderId }).page();
        await colleague.markPaymentSucceeded({ paymentRequestId: items[0]!.id });
        await page.getByText('Order completed').or(page.getByText('Payment succeeded')).first().waitFor();
        await page.getByText('Completed', { exact: true }).waitFor();
        expect(await button(page, 'Cancel the order').count()).toBe(0);
      });
    });

    it('resumes a stream that broke, and shows nothing twice', async () => {
      await on('demo', '/shop', async (page) => {
        const orderId = await order(page, 'Tea');
        await page.getByText('Payment requested').waitFor();
        running.link.cut();
        await page.getByText('Reconnecting …').waitFor();
        running.link.heal();
        // The pause before an attempt doubles with each failure, and the service asks for up to some seconds to begin with.
        await page.getByText('Live', { exact: true }).waitFor({ timeout: 60_000 });
        await button(page, 'Cancel the order').click();
        await page.getByLabel('Reason').fill('Ordered twice.');
        await dialog(page, /^Cancel/)
          .getByRole('button', { name: 'Cancel the order' })
          .click();
        await page.getByText('Cancelled: Ordered twice.').waitFor();
        const [{ steps } = { steps: 0 }] = await sql<{ steps: number }>(
          'select count(*)::int as steps from orders.order_timeline where order_id = $1',
          [orderId],
        );
        await until('every step is shown once', async () => (await stepsOn(page)) === steps);
      });
    });

    it('keeps the cart over a reload, and explains a price that has changed', async () => {
      await on('demo', '/shop', async (page) => {
        await button(page, 'Add Tea to the cart').click();
        await page.reload();
        await page.getByRole('link', { name: /^Cart: 1 piece/ }).click();
        await sql(`update orders.products set price = 480, version = version + 1 where id = 'tea'`);
        await button(page, 'Place the order').click();
        await button(page, 'Take the new prices').click();
        await button(page, 'Place the order').click();
        await page.waitForURL(/\/shop\/orders\//);
        await sql(`update orders.products set price = 450, version = version + 1 where id = 'tea'`);
      });
    });

    it('places 50 demo orders, and shows how far it is', async () => {
      await on('ops', '/shop', async (page) => {
        await button(page, 'Place 50 orders').click();
        await page.getByText('50 of 50 placed.').waitFor();
      });
    });
  });

  const stepsOn = (page: Page) => page.getByRole('log').locator('.mantine-Timeline-item').count();

  describe('P10 roles', () => {
    it('let an operator look at everything and change nothing', async () => {
      const [letter] = await letters({});

      await on('ops', `/messaging/payments/dead-letters?box=inbox&letter=${letter!.id}`, async (page) => {
        await page.getByText('No attempt is recorded.').waitFor();
        for (const name of ['Retry', 'Edit and retry', 'Discard', /^Retry all/, /^Discard all/])
          expect(await button(page, name).count()).toBe(0);
      });
      await on('ops', '/messaging/payments', async (page) => {
        await page.getByRole('heading', { name: 'Parts' }).waitFor();
        expect(await button(page, /^Pause/).count()).toBe(0);
      });
      await on('ops', '/messaging/payments/replay', (page) =>
        page.getByText('Only admins can replay messages.').waitFor(),
      );
    });

    it('keep messaging from customers', async () => {
      await on('demo', '/messaging/orders', (page) =>
        page.getByText('This page is for people with the role').waitFor(),
      );
    });
  });

  it('is accessible in light and dark on every page, fits a phone, and has no complaint of the browser', async () => {
    const [letter] = await letters({});
    const job = await aDeadJob(running.database, 'The gateway answered 503');
    const service = '/messaging/payments';

    for (const [path, ready] of [
      ['/messaging/orders', 'Parts'],
      [service, 'Parts'],
      [`${service}/dead-letters?box=inbox&letter=${letter!.id}`, 'Payload'],
      [`${service}/dead-letters`, 'Cause'],
      [`${service}/parked`, /They need nobody/],
      [`${service}/dead-jobs`, 'Cause'],
      [`${service}/dead-jobs?job=${job}`, 'Data'],
      [`${service}/operations`, /operations\.$/],
      [`${service}/replay`, 'Aggregate id'],
      [`${service}/audit`, 'refused'],
      ['/shop', 'Demo'],
      ['/shop/cart', 'The cart is empty.'],
    ] as const)
      await on('admin', path, async (page) => {
        await page.getByText(ready).first().waitFor();
        const found = await violationsOf(page);
        await page.setViewportSize({ width: 360, height: 740 });
        const overflow = () => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        await until(`${path} fits a phone`, async () => (await overflow()) <= 0);
        expect([path, ...found]).toEqual([path]);
      });
    expect(running.complaints).toEqual([]);
  });
});

/** The part of the browser's elements that the tests use. */
interface PageElement {
  readonly scrollHeight: number;
  scrollTo(left: number, top: number): void;
}

interface TextArea {
  readonly value: string;
  readonly selectionStart: number;
  readonly selectionEnd: number;
}

const strokeOf = (element: unknown) =>
  (globalThis as unknown as { getComputedStyle(of: unknown): { stroke: string } }).getComputedStyle(element).stroke;
const scrollToEnd = (element: unknown) => {
  const { scrollHeight } = element as PageElement;
  (element as PageElement).scrollTo(0, scrollHeight);
};
const selectedText = (element: unknown) => {
  const { value, selectionStart, selectionEnd } = element as TextArea;
  return value.slice(selectionStart, selectionEnd);
};
