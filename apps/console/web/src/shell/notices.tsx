import { Notification } from '@mantine/core';
import { useSyncExternalStore } from 'react';
import { currentNotices, dismiss, subscribe } from '../shared/notify.js';
import classes from './notices.module.css';

/** What has been done or has failed, in the corner of the page. Screen readers announce it. */
export function Notices() {
  const notices = useSyncExternalStore(subscribe, currentNotices);
  return (
    <section className={classes['notices']} aria-label="Notifications" aria-live="polite">
      {notices.map(({ id, kind, title, message }) => (
        <Notification
          key={id}
          role={kind === 'failure' ? 'alert' : 'status'}
          color={kind === 'failure' ? 'red' : 'pine'}
          title={title}
          withBorder
          onClose={() => dismiss(id)}
        >
          {message}
        </Notification>
      ))}
    </section>
  );
}
