import { describe } from './failure.js';

/** A message in the corner of the page. */
export interface Notice {
  readonly id: number;
  readonly kind: 'done' | 'failure';
  readonly title?: string;
  readonly message: string;
}

const DONE_MS = 6000;
const MOST = 5;
const listeners = new Set<() => void>();
let notices: readonly Notice[] = [];
let lastId = 0;

/** Shows that a change has been made. */
export function notifyDone(message: string): void {
  const { id } = add({ kind: 'done', message });
  setTimeout(() => dismiss(id), DONE_MS);
}

/** Shows an error that has no place of its own on the page, until somebody closes it. */
export function notifyFailure(error: unknown): void {
  const { heading, text } = describe(error);
  add({ kind: 'failure', title: heading, message: text });
}

export function dismiss(id: number): void {
  change(notices.filter((notice) => notice.id !== id));
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function currentNotices(): readonly Notice[] {
  return notices;
}

function add(notice: Omit<Notice, 'id'>): Notice {
  const added = { ...notice, id: ++lastId };
  change([...notices, added].slice(-MOST));
  return added;
}

function change(next: readonly Notice[]): void {
  notices = next;
  for (const listener of listeners) listener();
}
