import { Anchor } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Page } from '../shared/page.js';
import { Empty } from '../shared/states.js';

/** Says that an address has no page. */
export function PageNotFound() {
  return (
    <Page title="Page not found">
      <Empty title="There is no page at this address." icon="search">
        <Anchor component={Link} to="/">
          Go to the first page
        </Anchor>
      </Empty>
    </Page>
  );
}
