import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { until } from '@twinbox/messaging/testing';
import { runsBrowser } from '@twinbox/test-support/browser';
import { type Page } from 'playwright-core';
import { violationsOf } from './accessibility.js';
import { type BrowserConsole, PAGES, startBrowserConsole, type UserId } from './browser-console.js';

const describeInBrowser = runsBrowser ? describe : describe.skip;

const AREAS: Readonly<Record<UserId, readonly string[]>> = {
  demo: ['Shop'],
  ops: ['Payments', 'Orders', 'Messaging', 'Shop'],
  admin: ['Payments', 'Orders', 'Messaging', 'Shop'],
};

/** The pages of operators. `:payment` and `:order` stand for the ids of a pair. */
const PAGES_OF_OPERATORS = ['/payments', '/payments/:payment', '/orders', '/orders/stuck', '/orders/:order'];

describeInBrowser(`the console in Chromium${runsBrowser ? '' : ', which is not installed'}`, () => {
  let shown: BrowserConsole;
  let pair: { readonly orderId: string; readonly paymentId: string };

  beforeAll(async () => {
    shown = await startBrowserConsole();
    pair = await shown.placed();
  });
  afterAll(() => shown?.stop());

  const pathOf = (path: string) => path.replace(':payment', pair.paymentId).replace(':order', pair.orderId);
  const heading = (page: Page) => page.locator('h1').first();
  const focused = (page: Page) => page.evaluate<string>(`document.activeElement?.textContent ?? ''`);

  describe('every page', () => {
    it.each([
      ...PAGES_OF_OPERATORS.map((path) => ['ops', path] as const),
      ['admin', '/payments/:payment'] as const,
      ['admin', '/orders/:order'] as const,
    ])('is accessible in light and dark for %s at %s', async (user, path) => {
      const page = await shown.open(user, pathOf(path));
      await heading(page).waitFor();
      const loading = page.getByRole('status', { name: /^Loading/ });
      await until('everything is loaded', async () => (await loading.count()) === 0);

      const violations = await violationsOf(page);
      const areas = await page.getByRole('navigation', { name: 'Areas' }).getByRole('link').allInnerTexts();
      const title = await page.title();
      await page.setViewportSize({ width: 360, height: 740 });
      const overflow = () => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      await until('the page fits a phone', async () => (await overflow()) <= 0);
      await page.close();

      expect(violations).toEqual([]);
      expect(areas).toEqual(AREAS[user]);
      expect(title).toMatch(/ · Twinbox$/);
    });

    it.each([...PAGES_OF_OPERATORS, '/messaging/orders'])('P10 does not show a customer %s', async (path) => {
      const page = await shown.open('demo', pathOf(path));

      await page.getByRole('heading', { name: 'Not for your role' }).waitFor();
      await page.close();
    });

    it.each(['/payments', '/orders', '/shop'])(
      'loads at most 200 kB of compressed scripts and styles for %s',
      async (path) => {
        const page = await shown.open('admin', '/session');
        const files = new Set<string>();
        page.on('response', (response) => {
          const { pathname } = new URL(response.url());
          if (/\.(js|css)$/.test(pathname)) files.add(pathname);
        });
        await page.goto(path);
        await heading(page).waitFor();
        await page.waitForLoadState('load');
        await page.close();

        const loaded = [...files].reduce((sum, file) => sum + gzipSync(readFileSync(join(PAGES, file))).length, 0);

        expect(loaded).toBeGreaterThan(50_000);
        expect(loaded).toBeLessThanOrEqual(200_000);
      },
    );
  });

  it('returns to the page that asked for a sign-in', async () => {
    const page = await shown.open(undefined, '/payments?status=SUCCEEDED&status=FAILED');

    await page.getByRole('button', { name: /^Payment operator/ }).click();
    await page.getByRole('heading', { name: 'Payments' }).waitFor();
    const { search } = new URL(page.url());
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in to Twinbox' }).waitFor();
    const violations = await violationsOf(page);
    await page.close();

    expect(search).toBe('?status=SUCCEEDED&status=FAILED');
    expect(violations).toEqual([]);
  });

  it('asks to sign in again when the session has ended, and returns to the same view', async () => {
    const page = await shown.open(undefined, `/payments/${pair.paymentId}?status=ANY`);
    await page.getByRole('button', { name: /^Payment operator/ }).click();
    await page.getByRole('button', { name: 'Succeed', exact: true }).waitFor();

    await page.context().clearCookies();
    await page.getByRole('heading', { name: 'Sign in to Twinbox' }).waitFor();
    await page.getByRole('button', { name: /^Administrator/ }).click();
    await page.getByRole('button', { name: 'Succeed', exact: true }).waitFor();
    const { pathname, search } = new URL(page.url());
    await page.close();

    expect(pathname + search).toBe(`/payments/${pair.paymentId}?status=ANY`);
  });

  describe('payments', () => {
    it('are settled by keyboard alone', async () => {
      const { orderId, paymentId } = await shown.placed();
      const page = await shown.open('ops', `/payments?orderId=${orderId}`);
      await page.locator(`tr[data-id="${paymentId}"]`).waitFor();

      await page.keyboard.press('j');
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Succeed', exact: true }).waitFor();
      const opened = await focused(page);
      await page.keyboard.press('s');
      await page.getByRole('dialog').waitFor();
      const violations = await violationsOf(page);
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      const after = await focused(page);
      await page.close();

      expect(opened).toMatch(/\d/);
      expect(violations).toEqual([]);
      expect(after).toBe(opened);
      const settled = await shown.colleague.getPaymentRequest({ paymentRequestId: paymentId });
      expect(settled).toMatchObject({ status: 'SUCCEEDED', decidedBy: 'ops' });
    });

    it('fail once, however often the button is clicked, and with the reason', async () => {
      const { paymentId } = await shown.placed();
      const page = await shown.open('ops', `/payments/${paymentId}`);
      const sent: string[] = [];
      page.on('request', (request) => {
        if (request.method() === 'POST') sent.push(request.headers()['idempotency-key'] ?? '');
      });

      await page.getByRole('button', { name: 'Fail', exact: true }).click();
      await page.getByLabel('Reason').fill('card declined');
      await page.getByRole('button', { name: 'Mark as failed' }).dblclick();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.close();

      expect(sent).toEqual([expect.stringMatching(/^[\da-f]{32}$/)]);
      const failed = await shown.colleague.getPaymentRequest({ paymentRequestId: paymentId });
      expect(failed).toMatchObject({ status: 'FAILED', reason: 'card declined', decidedBy: 'ops' });
    });

    it('say who was faster, and how, and keep the focus when that happens', async () => {
      const { paymentId } = await shown.placed();
      const page = await shown.open('ops', `/payments/${paymentId}`);
      await page.getByRole('button', { name: 'Fail', exact: true }).click();
      await page.getByLabel('Reason').fill('card declined');

      await shown.colleague.markPaymentSucceeded({ paymentRequestId: paymentId });
      await page.getByRole('button', { name: 'Mark as failed' }).click();
      const told = page.getByRole('alert').filter({ hasText: 'Somebody was faster' });
      await told.waitFor();
      const text = await told.innerText();
      const violations = await violationsOf(page);
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      const after = await focused(page);
      await page.close();

      expect(text).toContain('colleague marked this payment as succeeded.');
      expect(violations).toEqual([]);
      expect(after).toBe('Fail');
    });

    it('report a colleague’s decision to somebody who only looks, and keep the focus', async () => {
      const { paymentId } = await shown.placed();
      const page = await shown.open('ops', `/payments/${paymentId}`);
      await page.getByRole('button', { name: 'Succeed', exact: true }).focus();

      await shown.colleague.markPaymentFailed({ paymentRequestId: paymentId, reason: 'fraud' });
      await page.getByText('colleague marked this payment as failed: fraud').waitFor();
      const after = await focused(page);
      await page.close();

      expect(after).toBe('Succeed');
    });

    it('keep the focus in the list when a refresh removes the row that has it', async () => {
      const [first, second] = [await shown.placed(), await shown.placed()];
      const page = await shown.open('ops', '/payments');
      await page.locator(`tr[data-id="${second.paymentId}"] a`).focus();

      await shown.colleague.markPaymentSucceeded({ paymentRequestId: second.paymentId });
      await page.locator(`tr[data-id="${second.paymentId}"]`).waitFor({ state: 'detached' });
      const row = await page.evaluate<string>('document.activeElement?.closest("tr")?.dataset.id');
      await page.close();

      expect(row).toBe(first.paymentId);
    });

    it('are found by the id of an order, a payment or a customer', async () => {
      const page = await shown.open('ops', '/payments');
      const box = page.getByRole('textbox', { name: 'Order, payment or customer id' });

      await box.fill(pair.orderId);
      await box.press('Enter');
      await page.waitForURL(`**/payments/${pair.paymentId}?*`);
      await page.goBack();
      await box.fill(pair.paymentId);
      await box.press('Enter');
      await page.waitForURL(`**/payments/${pair.paymentId}?*`);
      await page.goBack();
      await box.fill('demo');
      await box.press('Enter');
      await page.waitForURL('**/payments?status=ANY&customerId=demo');
      await page.locator(`tr[data-id="${pair.paymentId}"]`).waitFor();
      await page.close();
    });

    it('are not sent again by a refresh while they have not changed', async () => {
      const page = await shown.open('ops', '/payments?status=REFUNDED');

      const refreshed = await page.waitForResponse(
        (response) => response.url().includes('/payment-requests?') && response.status() === 304,
      );
      await page.close();

      expect(refreshed.request().headers()['if-none-match']).toBeDefined();
    });
  });

  describe('orders', () => {
    it('show both services’ steps and the messages between them, and can be finished', async () => {
      const { orderId, paymentId } = await shown.placed();
      await shown.colleague.markPaymentSucceeded({ paymentRequestId: paymentId });
      const page = await shown.open('ops', `/orders/${orderId}`);

      await until('the messages have arrived', async () => (await page.locator('[data-state=received]').count()) === 3);
      await page.getByText('Show as a table').click();
      const table = await page.getByRole('table').innerText();
      const violations = await violationsOf(page);
      await page.getByRole('button', { name: 'Finish', exact: true }).click();
      await page.getByRole('button', { name: 'Finish the order' }).click();
      await page.getByText('The order is finished.').waitFor();
      await page.close();

      for (const type of ['OrderPlaced', 'PaymentRequested', 'PaymentSucceeded'])
        expect(table).toMatch(new RegExp(`Message ${type}, received after \\d+ ms`));
      expect(violations).toEqual([]);
      expect(await shown.customer.getOrder({ orderId })).toMatchObject({ status: 'FINISHED' });
    });

    it('are cancelled with a reason, and show the payment’s end live', async () => {
      const { orderId } = await shown.placed();
      const page = await shown.open('ops', `/orders/${orderId}`);

      await page.getByRole('button', { name: 'Cancel the order' }).click();
      await page.getByLabel('Reason').fill('the customer called');
      await page.getByRole('dialog').getByRole('button', { name: 'Cancel the order' }).click();
      await page.getByRole('img').getByText('Payment cancelled').first().waitFor();
      await page.close();

      expect(await shown.customer.getOrder({ orderId })).toMatchObject({ cancelReason: 'the customer called' });
    });
  });

  it('says that the browser is offline, and goes on when it is not', async () => {
    const page = await shown.open('ops', '/orders');
    await page.locator('tr[data-id]').first().waitFor();

    await page.context().setOffline(true);
    await page.getByText('You are offline').first().waitFor();
    const rows = await page.locator('tr[data-id]').count();
    await page.context().setOffline(false);
    await page.getByText('You are offline').first().waitFor({ state: 'detached' });
    await page.close();

    expect(rows).toBeGreaterThan(0);
  });

  it('shows an error with a way to try again while a service is away', async () => {
    await shown.stopPayments();
    const page = await shown.open('ops', '/payments?status=CANCELLED');

    await page.getByRole('button', { name: 'Try again' }).waitFor({ timeout: 60_000 });
    const violations = await violationsOf(page);
    await page.close();

    expect(violations).toEqual([]);
  });

  it('P10 has no violation of its Content-Security-Policy, and no uncaught error, in all of these tests', () => {
    expect(shown.complaints).toEqual([]);
  });
});
