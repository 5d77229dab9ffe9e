import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where packages put it, and where `playwright-core install chromium` does. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  chromium.executablePath(),
];

/** Everything that a test does not need, such as updates, is off. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const path = process.env['CHROMIUM'] ?? PLACES.find((place) => existsSync(place));

/** Whether tests in a browser run here. Without Chromium they are skipped, except with `REQUIRE_BROWSER=1`, with which they fail. */
export const runsBrowser = path !== undefined || process.env['REQUIRE_BROWSER'] === '1';

/** Starts Chromium, without a window. @throws if it is not installed */
export async function startBrowser(): Promise<Browser> {
  if (path === undefined)
    throw new Error(`Chromium is not in any of ${PLACES.join(', ')}. Install it, or set CHROMIUM to its path.`);
  return chromium.launch({ executablePath: path, args: ARGUMENTS });
}
