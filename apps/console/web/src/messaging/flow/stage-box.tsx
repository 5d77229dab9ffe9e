import { Link } from '@tanstack/react-router';
import { type ReactNode } from 'react';
import { useService } from '../service.js';
import { seconds } from './flow.js';
import { type Box, BOX_WIDTH, FACT_HEIGHT, fitted, HEAD_HEIGHT } from './picture-layout.js';
import classes from './picture.module.css';

/** How many characters fit into a line of a box. */
const FACT_LENGTH = 29;
const TITLE_LENGTH = 26;

/** One box of the picture. Its name says everything that it shows. */
export function StageBox({ box, at }: { readonly box: Box; readonly at: string }) {
  const { title, figure, facts, since } = box.stage;
  const duration = since === null ? undefined : `for ${seconds((Date.parse(at) - Date.parse(since)) / 1000)}`;
  // In the order of the texts in the box, which people who speak to their computer read.
  const name = [box.lane, title, duration, figure, ...facts.map(({ text }) => text)].filter(Boolean);
  return (
    <BoxLink box={box} name={name.join(', ')}>
      <BoxContent box={box} duration={duration} />
    </BoxLink>
  );
}

function BoxContent({ box, duration }: { readonly box: Box; readonly duration: string | undefined }) {
  const { stage, x, y, height } = box;
  const { title, figure, facts } = stage;
  return (
    <>
      <rect className={classes['frame']} x={x} y={y} width={BOX_WIDTH} height={height} rx={8} />
      <rect className={classes['edge']} x={x} y={y + 8} width={4} height={height - 16} rx={2} />
      <text className={classes['title']} x={x + 16} y={y + 22}>
        {`${fitted(title, duration ? TITLE_LENGTH - duration.length - 1 : TITLE_LENGTH)} `}
      </text>
      {duration && (
        <text className={classes['since']} x={x + BOX_WIDTH - 10} y={y + 22} textAnchor="end">
          {`${duration} `}
        </text>
      )}
      <text className={classes['figure']} x={x + 16} y={y + 47}>
        {`${figure} `}
      </text>
      {facts.map(({ text, health }, n) => (
        <text
          key={text}
          className={classes['fact']}
          data-health={health}
          x={x + 16}
          y={y + HEAD_HEIGHT + 10 + n * FACT_HEIGHT}
        >
          {`${fitted(text, FACT_LENGTH)} `}
        </text>
      ))}
    </>
  );
}

/** Links a box to the list of what is in it, if there is one. */
function BoxLink({ box, name, children }: { readonly box: Box; readonly name: string; readonly children: ReactNode }) {
  const service = useService();
  const { stage, lane } = box;
  const shared = {
    className: classes['box'],
    'data-health': stage.health,
    'aria-label': name,
    params: { service },
    children,
  };
  if (stage.kind === 'queue')
    return <Link {...shared} to="/messaging/$service/dead-jobs" search={{ queue: stage.title }} />;
  if (stage.kind === 'outbox')
    return <Link {...shared} to="/messaging/$service/dead-letters" search={{ box: 'outbox' }} />;
  const search = { box: 'inbox', consumer: lane } as const;
  if (stage.kind === 'inbox' && stage.health === 'waiting')
    return <Link {...shared} to="/messaging/$service/parked" search={search} />;
  if (stage.kind === 'inbox') return <Link {...shared} to="/messaging/$service/dead-letters" search={search} />;
  return (
    <g className={classes['box']} data-health={stage.health} role="img" aria-label={name}>
      {children}
    </g>
  );
}
