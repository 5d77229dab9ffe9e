import { textFlaw } from '../message/column-text.js';
import { inboxRetentionOf } from '../message/topic.js';
import { type InboxOptions } from '../messaging-options.js';

/** A consumer's options with the defaults filled in. */
export interface InboxSettings {
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly backOff: { readonly firstMs: number; readonly maxMs: number };
  readonly deadLettersHoldKeys: boolean;
  readonly groupCommit: boolean;
  readonly retentionMs: number;
  readonly sessionMs: number;
  readonly ignoresUnknownTypes: boolean;
}

/**
 * Applies the defaults and validates the options.
 * @throws for an invalid option, at the start rather than with the first failing message
 */
export function inboxSettings(options: InboxOptions): InboxSettings {
  const settings = {
    concurrency: options.concurrency ?? 4,
    maxAttempts: options.maxAttempts ?? 10,
    backOff: options.backOff ?? { firstMs: 1000, maxMs: 300_000 },
    deadLettersHoldKeys: (options.afterDeadLetter ?? 'hold-key') === 'hold-key',
    groupCommit: options.groupCommit ?? false,
    retentionMs: inboxRetentionOf(options.topic, options.inboxRetentionMs),
    sessionMs: options.sessionMs ?? 10_000,
    ignoresUnknownTypes: (options.unknownTypes ?? 'ignore') === 'ignore',
  };
  const flaw = textFlaw(options.groupId);
  if (flaw !== undefined) throw new Error(`The name of consumer group ${options.groupId} ${flaw}`);
  const { concurrency, maxAttempts, backOff } = settings;
  if (!(concurrency >= 1 && maxAttempts >= 1 && backOff.firstMs > 0 && backOff.maxMs >= backOff.firstMs)) {
    throw new Error(
      `Consumer ${options.groupId}: concurrency and maxAttempts must be at least 1, and backOff 0 < firstMs <= maxMs`,
    );
  }
  const { name, inboxRetentionMs: asked } = options.topic;
  const { retentionMs } = settings;
  if (asked !== undefined && retentionMs !== 0 && (asked === 0 || retentionMs < asked)) {
    throw new Error(
      `Consumer ${options.groupId}: inboxRetentionMs (${retentionMs}) must not be below that of the contract of ${name} (${asked})`,
    );
  }
  return settings;
}
