import { choiceIn, present, type SearchParams, textIn, timeIn } from '../shell/search-params.js';
import { type Box } from './dead/causes.js';

// The filters of the pages, as their addresses have them. What is not valid is left out, so that an old bookmark still opens its page.

const BOXES: readonly Box[] = ['inbox', 'outbox'];

export interface LettersSearch {
  readonly box?: Box | undefined;
  readonly cause?: string | undefined;
  readonly type?: string | undefined;
  readonly key?: string | undefined;
  readonly consumer?: string | undefined;
  readonly diedAfter?: string | undefined;
  /** The letter that is shown whole: its id within the box. */
  readonly letter?: string | undefined;
}

export const lettersSearch = (search: SearchParams): LettersSearch =>
  present({
    box: choiceIn(search, 'box', BOXES),
    cause: textIn(search, 'cause'),
    type: textIn(search, 'type'),
    key: textIn(search, 'key'),
    consumer: textIn(search, 'consumer'),
    diedAfter: timeIn(search, 'diedAfter'),
    letter: textIn(search, 'letter'),
  });

export interface ParkedSearch {
  readonly box?: Box | undefined;
  readonly type?: string | undefined;
  readonly key?: string | undefined;
  readonly consumer?: string | undefined;
  readonly message?: string | undefined;
}

export const parkedSearch = (search: SearchParams): ParkedSearch =>
  present({
    box: choiceIn(search, 'box', BOXES),
    type: textIn(search, 'type'),
    key: textIn(search, 'key'),
    consumer: textIn(search, 'consumer'),
    message: textIn(search, 'message'),
  });

export interface JobsSearch {
  readonly queue?: string | undefined;
  readonly cause?: string | undefined;
  readonly diedAfter?: string | undefined;
  readonly job?: string | undefined;
}

export const jobsSearch = (search: SearchParams): JobsSearch =>
  present({
    queue: textIn(search, 'queue'),
    cause: textIn(search, 'cause'),
    diedAfter: timeIn(search, 'diedAfter'),
    job: textIn(search, 'job'),
  });

export const OPERATION_STATES = ['running', 'done', 'stopped', 'cancelled', 'failed'] as const;

export interface OperationsSearch {
  readonly state?: (typeof OPERATION_STATES)[number] | undefined;
}

export const operationsSearch = (search: SearchParams): OperationsSearch =>
  present({ state: choiceIn(search, 'state', OPERATION_STATES) });

export interface AuditSearch {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly outcome?: 'done' | 'refused' | undefined;
  readonly messageId?: string | undefined;
  readonly operation?: string | undefined;
}

export const auditSearch = (search: SearchParams): AuditSearch =>
  present({
    actor: textIn(search, 'actor'),
    action: textIn(search, 'action'),
    outcome: choiceIn(search, 'outcome', ['done', 'refused']),
    messageId: textIn(search, 'messageId'),
    operation: textIn(search, 'operation'),
  });
