import { Table, Text } from '@mantine/core';
import { type DryRun } from '@twinbox/client/admin';
import { counted } from '../flow/flow.js';
import { columnsOf } from './bulk.js';

/** What a dry run has found: how many, and the first of them. */
export function Preview({ found: { total, first }, noun }: { readonly found: DryRun; readonly noun: string }) {
  const columns = columnsOf(first);
  return (
    <>
      <Text fw={600}>{counted(total, noun)}</Text>
      {total > 0 && (
        <Table.ScrollContainer
          minWidth={500}
          maxHeight={180}
          scrollAreaProps={{ viewportProps: { tabIndex: 0, role: 'region', 'aria-label': `The first ${noun}s` } }}
        >
          <Table fz="xs" verticalSpacing={2} stickyHeader style={{ whiteSpace: 'nowrap' }}>
            <Table.Thead>
              <Table.Tr>
                {columns.map((name) => (
                  <Table.Th key={name} scope="col">
                    {name}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {first.map((item) => (
                <Table.Tr key={JSON.stringify(item)}>
                  {columns.map((name) => (
                    <Table.Td key={name}>{textOf(item[name])}</Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {total > first.length && (
        <Text size="xs" c="dimmed">
          … and {(total - first.length).toLocaleString('en')} more.
        </Text>
      )}
    </>
  );
}

const textOf = (value: unknown) =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
