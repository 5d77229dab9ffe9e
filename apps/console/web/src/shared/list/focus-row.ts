/** Moves the focus to the next or the previous row of the list. */
export function focusRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('a[data-row]')];
  const index = rows.findIndex((row) => row === document.activeElement);
  const next = rows[index < 0 ? 0 : Math.min(Math.max(index + by, 0), rows.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}
