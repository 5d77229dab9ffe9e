import { Badge, Group, Table, Text, UnstyledButton } from '@mantine/core';
import { type CauseGroup } from '@twinbox/client/admin';
import { Time } from '../../shared/time.js';
import { count } from '../flow/flow.js';
import { partsOf } from './causes.js';
import classes from './cause-table.module.css';

interface CauseTableProps<C extends CauseGroup> {
  readonly causes: readonly C[];
  /** What the types of a cause are, such as `Event types`. */
  readonly typesTitle: string;
  /** The place where the items of a cause are, if there are several. */
  readonly placeOf?: (cause: C) => string;
  readonly isSelected: (cause: C) => boolean;
  readonly onSelect: (cause: C) => void;
}

/** Groups of errors that differ only in ids, numbers and quoted values. Choosing one filters the list below. */
export function CauseTable<C extends CauseGroup>(props: CauseTableProps<C>) {
  const { causes, typesTitle, placeOf, isSelected, onSelect } = props;
  return (
    <Table.ScrollContainer minWidth={600}>
      <Table verticalSpacing="xs" highlightOnHover aria-label="Causes">
        <Table.Thead>
          <Table.Tr>
            <Table.Th scope="col">Cause</Table.Th>
            <Table.Th scope="col" ta="right">
              Count
            </Table.Th>
            <Table.Th scope="col">{typesTitle}</Table.Th>
            <Table.Th scope="col">First</Table.Th>
            <Table.Th scope="col">Last</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {causes.map((group) => (
            <Table.Tr
              key={`${placeOf?.(group)} ${group.cause}`}
              className={isSelected(group) ? classes['selected'] : ''}
            >
              <Table.Td>
                <UnstyledButton
                  className={classes['cause']}
                  aria-pressed={isSelected(group)}
                  onClick={() => onSelect(group)}
                >
                  <Group gap="xs" wrap="nowrap" align="baseline">
                    {placeOf && (
                      <Badge size="xs" variant="default" tt="none" style={{ flexShrink: 0 }}>
                        {placeOf(group)}
                      </Badge>
                    )}
                    <CauseText cause={group.cause} />
                  </Group>
                </UnstyledButton>
              </Table.Td>
              <Table.Td ta="right">
                <b>{count(group.count)}</b>
              </Table.Td>
              <Table.Td>{group.types.map((type) => type ?? 'unreadable').join(', ')}</Table.Td>
              <Table.Td className={classes['time']}>
                <Time relative at={group.oldest} />
              </Table.Td>
              <Table.Td className={classes['time']}>
                <Time relative at={group.newest} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function CauseText({ cause }: { readonly cause: string }) {
  return (
    <Text span size="sm">
      {partsOf(cause).map(({ text, at, isHole }) =>
        isHole ? (
          <span key={at} className={classes['hole']}>
            {text}
          </span>
        ) : (
          text
        ),
      )}
    </Text>
  );
}
