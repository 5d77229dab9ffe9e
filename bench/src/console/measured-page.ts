import { existsSync } from 'node:fs';
import { OperationalError } from '@twinbox/tools';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', chromium.executablePath()];

/** Starts Chromium without a window. @throws OperationalError if it is not installed */
export async function startChromium(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? PLACES.find((place) => existsSync(place));
  if (executablePath === undefined)
    throw new OperationalError(
      `Chromium is not in any of ${PLACES.join(', ')}. Install it, or set CHROMIUM to its path.`,
    );
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-background-networking'] });
}

/** Opens a page with an empty cache, as the first visit of an admin. */
export async function firstVisit(browser: Browser, url: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const answer = await context.request.post(`${url}/session`, {
    data: { userId: 'admin' },
    headers: { origin: url, 'sec-fetch-site': 'same-origin' },
  });
  if (!answer.ok()) throw new Error(`Signing in was answered with ${answer.status()}.`);
  return context.newPage();
}

/**
 * Runs in the page: notes when it has first been interactive, in ms since the navigation began. That is when its heading and its data are
 * there, nothing says that it is loading, and the main thread is free again.
 */
const NOTE_INTERACTIVE = `
  globalThis.interactiveAt = new Promise((resolve) => {
    const look = () => {
      const isThere = document.querySelector('main h1') && !document.querySelector('main [role=status][aria-label^=Loading]');
      if (!isThere) return requestAnimationFrame(look);
      requestIdleCallback(() => resolve(performance.now()));
    };
    look();
  });
`;

export async function interactiveMs(page: Page, url: string): Promise<number> {
  await page.addInitScript(NOTE_INTERACTIVE);
  await page.goto(url, { waitUntil: 'commit' });
  return page.evaluate<number>('interactiveAt');
}

/** Runs in the page: scrolls an element from its top to its end in 300 frames, and returns how long each frame took. */
const SCROLL = `(async (element) => {
  const frame = () => new Promise(requestAnimationFrame);
  element.scrollTop = 0;
  for (let n = 0; n < 30; n++) await frame();
  const step = (element.scrollHeight - element.clientHeight) / 300;
  const frames = [];
  let before = await frame();
  for (let n = 1; n <= 300; n++) {
    element.scrollTop = n * step;
    const now = await frame();
    frames.push(now - before);
    before = now;
  }
  return frames;
})(document.querySelector('[role=region][aria-label="Dead letters"]'))`;

export const scrollFrames = (page: Page): Promise<number[]> => page.evaluate<number[]>(SCROLL);

/** Runs in the page: scrolls to the end until it has loaded everything. */
const LOAD_ALL = `(async () => {
  const element = document.querySelector('[role=region][aria-label="Dead letters"]');
  while (!/^All /m.test(document.querySelector('main').innerText)) {
    element.scrollTop = element.scrollHeight;
    await new Promise(requestAnimationFrame);
  }
})()`;

export async function loadAllRows(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.getByRole('region', { name: 'Dead letters' }).waitFor();
  await page.evaluate(LOAD_ALL);
}
