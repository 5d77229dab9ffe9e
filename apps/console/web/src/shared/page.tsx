import { Group, Stack, Title } from '@mantine/core';
import { type ReactNode } from 'react';

interface PageProps {
  /** The heading, and the name of the browser's tab. */
  readonly title: string;
  /** Beside the heading. */
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}

/** A page with its heading. */
export function Page({ title, aside, children }: PageProps) {
  return (
    <Stack gap="md">
      <PageTitle title={title} />
      <Group justify="space-between" gap="sm">
        <Title order={1} size="h2" tabIndex={-1}>
          {title}
        </Title>
        {aside}
      </Group>
      {children}
    </Stack>
  );
}

/** Names the browser's tab, for pages with a heading of their own. */
export function PageTitle({ title }: { readonly title: string }) {
  return <title>{`${title} · Twinbox`}</title>;
}
