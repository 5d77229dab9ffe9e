import { AxeBuilder } from '@axe-core/playwright';
import { type Page } from 'playwright-core';

/** The rules of WCAG 2.2, levels A and AA. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** Runs in the page: the colours of a transition that is under way are those of neither scheme. */
const FINISH_TRANSITIONS = `new Promise((resolve) =>
  requestAnimationFrame(() => requestAnimationFrame(() => {
    for (const animation of document.getAnimations()) if (animation instanceof CSSTransition) animation.finish();
    resolve();
  })))`;

/** Returns what axe finds in light and in dark colours: the rule, and the places. Only the contrast differs between the two. */
export async function violationsOf(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
    await page.evaluate(FINISH_TRANSITIONS);
    const axe = new AxeBuilder({ page });
    const { violations } = await (
      colorScheme === 'light' ? axe.withTags(TAGS) : axe.withRules('color-contrast')
    ).analyze();
    for (const { id, nodes } of violations)
      found.push(
        ...nodes.map(({ target, any }) => `${colorScheme} ${id} ${target.join(' ')}: ${any[0]?.message ?? ''}`),
      );
  }
  return found;
}
