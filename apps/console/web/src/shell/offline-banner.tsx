import { Alert } from '@mantine/core';
import { useNetwork } from '@mantine/hooks';
import { Icon } from '../shared/icon.js';

/** Says that the browser has no connection. */
export function OfflineBanner() {
  const { online } = useNetwork();
  if (online) return null;
  return (
    <Alert role="status" color="yellow" icon={<Icon name="alert" />} title="You are offline" mb="md">
      This page shows what was loaded last. It refreshes as soon as the connection is back.
    </Alert>
  );
}
