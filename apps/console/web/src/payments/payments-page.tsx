import { Page } from '../shared/page.js';
import { Empty } from '../shared/states.js';

/** The list of payments. */
export function PaymentsPage() {
  return (
    <Page title="Payments">
      <Empty title="No payments" />
    </Page>
  );
}
