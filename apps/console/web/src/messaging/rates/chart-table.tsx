import { Table } from '@mantine/core';
import { useState } from 'react';
import { clock, sampled, type Series } from './series.js';

/** So many that a person can still listen to them. */
const MOST_ROWS = 20;

interface ChartTableProps {
  readonly name: string;
  readonly series: Series;
  readonly text: (value: number | null | undefined) => string;
}

/** The values of a chart as a table, for those who cannot see it or want the numbers. It is filled when it is opened. */
export function ChartTable({ name, series: { times, lines }, text }: ChartTableProps) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary style={{ fontSize: 'var(--mantine-font-size-xs)' }}>{name} as a table</summary>
      {isOpen && (
        <Table fz="xs" verticalSpacing={2}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th scope="col">Time</Table.Th>
              {lines.map(({ label }) => (
                <Table.Th key={label} scope="col">
                  {label}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sampled(times.length, MOST_ROWS)
              .toReversed()
              .map((n) => (
                <Table.Tr key={times[n]}>
                  <Table.Th scope="row">{clock(times[n] ?? 0)}</Table.Th>
                  {lines.map(({ label, values }) => (
                    <Table.Td key={label}>{text(values[n])}</Table.Td>
                  ))}
                </Table.Tr>
              ))}
          </Table.Tbody>
        </Table>
      )}
    </details>
  );
}
