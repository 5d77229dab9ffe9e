import { Alert, Anchor, List } from '@mantine/core';
import { type EditProblem, type Place } from './json-places.js';

interface EditProblemsProps {
  readonly problems: readonly EditProblem[];
  readonly area: React.RefObject<HTMLTextAreaElement | null>;
}

/** What is wrong with the text of an editor. Choosing one selects its place. It is read out when it changes. */
export function EditProblems({ problems, area }: EditProblemsProps) {
  const select = ({ from, to }: Place) => {
    area.current?.focus();
    area.current?.setSelectionRange(from, to);
  };
  return (
    <div role="status">
      {problems.length > 0 && (
        <Alert role="presentation" color="red" title="The content is not valid">
          <List size="sm">
            {problems.map(({ detail, pointer, place }) => (
              <List.Item key={`${pointer} ${detail}`}>
                {detail}{' '}
                {place && (
                  <Anchor component="button" type="button" size="sm" onClick={() => select(place)}>
                    {pointer ?? 'Show'} (line {place.line}, column {place.column})
                  </Anchor>
                )}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
    </div>
  );
}
