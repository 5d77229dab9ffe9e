import { Option } from 'commander';
import { timeOption } from './lists.js';

const since = 'a time, or how long ago, such as 2h';

/** The filters of dead letters and of parked messages. */
export const messageFilters = (): Option[] => [
  new Option('--box <box>', 'those that could not be published, or not be handled').choices(['outbox', 'inbox']),
  new Option('--topic <topic>', 'of this topic'),
  new Option('--consumer <consumer>', 'of this consumer'),
  new Option('--type <type>', 'messages of this type'),
  new Option('--key <key>', 'messages with this key, such as an order'),
];

/** The filters of what has died. */
export const deathFilters = (): Option[] => [
  new Option('--cause <cause>', 'with this cause, as "causes" prints it for a shell'),
  new Option('--died-after <time>', since).argParser((text) => timeOption(text)),
  new Option('--died-before <time>', since).argParser((text) => timeOption(text)),
];

const BOXES = ['inbox', 'outbox'] as const;
type Box = (typeof BOXES)[number];

interface BoxFilters {
  readonly box?: Box;
  readonly consumer?: string;
  readonly aggregateType?: string;
}

/** Returns the boxes whose messages have these fields. */
export function boxesOf({ box, consumer, aggregateType }: BoxFilters): readonly Box[] {
  return BOXES.filter(
    (one) => (box ?? one) === one && !(one === 'outbox' && consumer) && !(one === 'inbox' && aggregateType),
  );
}
