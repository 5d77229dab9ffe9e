import { notifications } from '@mantine/notifications';
import { describe } from './failure.js';

/** Shows that a change has been made. */
export function notifyDone(message: string): void {
  notifications.show({ message, color: 'green', autoClose: 6000, role: 'status' });
}

/** Shows an error that has no place of its own on the page. */
export function notifyFailure(error: unknown): void {
  const { heading, text } = describe(error);
  notifications.show({ title: heading, message: text, color: 'red', autoClose: false });
}
