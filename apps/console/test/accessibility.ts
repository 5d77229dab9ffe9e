import { AxeBuilder } from '@axe-core/playwright';
import { type Page } from 'playwright-core';

/** The rules of WCAG 2.2, levels A and AA. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** Returns what axe finds in light and in dark colours: the rule, and the places. */
export async function violationsOf(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.locator(`html[data-mantine-color-scheme=${colorScheme}]`).waitFor();
    const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
    for (const { id, nodes } of violations)
      found.push(
        ...nodes.map(({ target, any }) => `${colorScheme} ${id} ${target.join(' ')}: ${any[0]?.message ?? ''}`),
      );
  }
  return found;
}
