import { type ErrorComponentProps, useRouter } from '@tanstack/react-router';
import { Failure } from '../shared/failure.js';
import { Page } from '../shared/page.js';

/** Stands in for a page that cannot be shown, for example because the console has been updated and its older parts are gone. */
export function PageError({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const isOutdated = /dynamically imported module|module script failed/i.test(String(error));
  const retry = async () => {
    if (isOutdated) return location.reload();
    reset();
    await router.invalidate();
  };
  return (
    <Page title="This page cannot be shown">
      <Failure error={error} onRetry={retry} {...(isOutdated && { title: 'The console may have been updated.' })} />
    </Page>
  );
}
