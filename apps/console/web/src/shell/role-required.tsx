import { type Role } from '@twinbox/client';
import { Page } from '../shared/page.js';
import { Empty } from '../shared/states.js';

/** Says that the person may not see a page. */
export function RoleRequired({ role }: { readonly role: Role }) {
  return (
    <Page title="Not for your role">
      <Empty title={`This page is for people with the role ${role}.`} icon="alert">
        Sign in as somebody else, or ask for the role.
      </Empty>
    </Page>
  );
}
