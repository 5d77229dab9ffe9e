import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { isProblem, type TwinboxProblem } from '@twinbox/client';
import { CopyableId } from './copyable-id.js';
import { Icon } from './icon.js';

interface FailureProps {
  readonly error: unknown;
  readonly onRetry?: () => unknown;
  /** What did not work, such as `The list could not be loaded`. */
  readonly title?: string;
}

/** An error, in the words of the service if it has sent a problem document, and with the id under which its log has more. */
export function Failure({ error, onRetry, title }: FailureProps) {
  const { heading, text } = describe(error);
  return (
    <Alert role="alert" color="red" variant="light" icon={<Icon name="alert" />} title={title ?? heading}>
      <Stack gap="xs" align="flex-start">
        <Text size="sm">{title === undefined ? text : `${heading} ${text}`}</Text>
        {isProblem(error) && <Particulars problem={error} />}
        {onRetry && (
          <Button size="xs" variant="default" onClick={() => void onRetry()}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function Particulars({ problem }: { readonly problem: TwinboxProblem }) {
  const { errors, requestId } = problem;
  return (
    <>
      {errors.length > 0 && (
        <ul>
          {errors.map(({ pointer, parameter, detail }) => (
            <li key={`${pointer ?? parameter} ${detail}`}>
              {parameter ?? pointer}: {detail}
            </li>
          ))}
        </ul>
      )}
      {requestId !== undefined && (
        <Group gap={6}>
          <Text size="xs">Request</Text>
          <CopyableId id={requestId} of="request" />
        </Group>
      )}
    </>
  );
}

/** What an error says to a person. */
export function describe(error: unknown): { readonly heading: string; readonly text: string } {
  if (isProblem(error)) return { heading: error.document.title, text: error.document.detail };
  if (!navigator.onLine) return { heading: 'You are offline.', text: 'Check your connection, then try again.' };
  if (error instanceof Error && error.name === 'TwinboxConnectionError')
    return { heading: 'There was no answer.', text: 'The console or a service cannot be reached at the moment.' };
  return {
    heading: 'Something went wrong in this page.',
    text: error instanceof Error ? error.message : String(error),
  };
}
