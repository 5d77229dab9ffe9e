import { type Provider } from '@nestjs/common';
import { JobChanges } from './dead-letters/job-changes.js';
import { LetterChanges } from './dead-letters/letter-changes.js';
import { ReleaseNotice } from './dead-letters/release-notice.js';
import { MESSAGING_OPTIONS, type MessagingOptions } from './messaging-options.js';
import { DueWork } from './poll/due-work.js';
import { DataSources } from './postgres/data-sources.js';
import { ReplayOperation } from './replay/replay-operation.js';
import { ChangeOperation } from './stored-operations/change-operation.js';
import { deadJobs, deadLetters } from './stored-operations/dead-items.js';
import { OPERATION_KINDS, type OperationKind } from './stored-operations/operation-kind.js';

/** Provides all kinds of operations. */
export const operationKinds: Provider = {
  provide: OPERATION_KINDS,
  inject: [MESSAGING_OPTIONS, DataSources, DueWork],
  useFactory: kindsOf,
};

/** Returns all kinds of operations. */
export function kindsOf(
  options: MessagingOptions,
  dataSources: Pick<DataSources, 'default'>,
  dueWork: DueWork,
): readonly OperationKind[] {
  const letters = deadLetters(new LetterChanges(options), new ReleaseNotice(options.schema, dataSources, dueWork));
  const jobs = deadJobs(new JobChanges(options.schema), dueWork);
  return [
    new ChangeOperation('retry', letters),
    new ChangeOperation('discard', letters),
    new ChangeOperation('retry', jobs),
    new ChangeOperation('discard', jobs),
    new ReplayOperation(options, dueWork),
  ];
}
