import { useNow } from './clock.js';
import { exactTime, relativeTime, shortTime } from './time-text.js';

interface TimeProps {
  /** ISO 8601. */
  readonly at: string;
  /** Tells how long ago it was, or in how long it will be, instead of when. */
  readonly relative?: boolean;
}

/** A time in the viewer's zone. The exact one is shown on hover. */
export function Time({ at, relative = false }: TimeProps) {
  return relative ? <RelativeTime at={at} /> : <PointInTime at={at} />;
}

function RelativeTime({ at }: { readonly at: string }) {
  const now = useNow(1000);
  return (
    <time dateTime={at} title={exactTime(at)}>
      {relativeTime(at, now)}
    </time>
  );
}

function PointInTime({ at }: { readonly at: string }) {
  const now = useNow(60_000);
  return (
    <time dateTime={at} title={exactTime(at)}>
      {shortTime(at, now)}
    </time>
  );
}
