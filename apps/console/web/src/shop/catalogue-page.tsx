import './styles.js';
import { Grid, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { Icon } from '../shared/icon.js';
import { Page } from '../shared/page.js';
import { useSession } from '../shell/session.js';
import { CartButton } from './cart-button.js';
import { Catalogue } from './catalogue.js';
import { DemoPanel } from './demo-panel.js';
import { LatestOrders } from './latest-orders.js';

const route = getRouteApi('/shop');

/** The catalogue with its search, the customer's latest orders, and on the demo stack what makes the system move. */
export function CataloguePage() {
  const { q = '' } = route.useSearch();
  const { demo } = useSession();
  return (
    <Page title="Shop" aside={<CartButton />}>
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, lg: 8.5 }}>
          <Search q={q} />
          <Catalogue q={q} />
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 3.5 }}>
          {demo && <DemoPanel />}
          <LatestOrders />
        </Grid.Col>
      </Grid>
    </Page>
  );
}

/** The typed text goes into the address once the customer pauses. */
function Search({ q }: { readonly q: string }) {
  const navigate = useNavigate();
  const [text, setText] = useState(q);
  const search = useDebouncedCallback(
    (next: string) =>
      void navigate({
        to: '/shop',
        search: next.trim() === '' ? {} : { q: next.trim() },
        replace: true,
        resetScroll: false,
      }),
    250,
  );
  return (
    <TextInput
      type="search"
      aria-label="Search the catalogue"
      placeholder="Search: tea, mug, …"
      mb="md"
      maxLength={200}
      leftSection={<Icon name="search" />}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        search(event.currentTarget.value);
      }}
    />
  );
}
