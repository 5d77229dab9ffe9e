import { Page } from '../shared/page.js';
import { Empty } from '../shared/states.js';

/** The list of orders. */
export function OrdersPage() {
  return (
    <Page title="Orders">
      <Empty title="No orders" />
    </Page>
  );
}
