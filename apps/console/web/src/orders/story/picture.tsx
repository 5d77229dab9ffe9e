import { useElementSize } from '@mantine/hooks';
import { wordsOf } from '../../shared/words.js';
import { durationText } from '../../shared/time-text.js';
import { Time } from '../../shared/time.js';
import { layoutOf, type PlacedMessage, type PlacedNode } from './layout.js';
import classes from './picture.module.css';
import { type Story } from './story.js';

/** Both services' steps on one axis, the earliest at the top, and the messages between them. The table below it says the same. */
export function Picture({ story }: { readonly story: Story }) {
  const { ref, width } = useElementSize();
  const { height, nodes, messages, gaps } = layoutOf(story);
  const label = `${story.nodes.length} steps and ${story.messages.length} messages between order-service and payment-service. The table below has all of them.`;
  return (
    <div role="img" aria-label={label}>
      <div className={classes['heads']}>
        <span>order-service</span>
        <span>payment-service</span>
      </div>
      <div className={classes['picture']} style={{ height }}>
        {nodes.map((placed) => (
          <Node key={placed.node.key} placed={placed} />
        ))}
        {gaps.map(({ y, ms }) => (
          <span key={y} className={classes['gap']} style={{ top: y }}>
            {durationText(ms)} later
          </span>
        ))}
        <div ref={ref} className={classes['lines']}>
          {width > 0 && (
            <svg width={width} height={height}>
              <line className={classes['lane']} x1={8} x2={8} y1={0} y2={height} />
              <line className={classes['lane']} x1={width - 8} x2={width - 8} y1={0} y2={height} />
              {messages.map((placed) => (
                <Arrow key={placed.message.id} placed={placed} width={width} />
              ))}
              {nodes.map(({ node: { key, lane, isStuck }, y }) => (
                <circle key={key} cx={lane === 'orders' ? 8 : width - 8} cy={y} r={5.5} data-stuck={isStuck} />
              ))}
            </svg>
          )}
        </div>
      </div>
    </div>
  );
}

function Node({ placed: { node, y, afterMs } }: { readonly placed: PlacedNode }) {
  const { lane, at, type, actor, detail, isStuck } = node;
  return (
    <div className={classes['node']} data-lane={lane} data-stuck={isStuck} style={{ top: y }}>
      <strong>{isStuck ? type : wordsOf(type)}</strong>
      <span>
        <Time at={at} />
        {afterMs !== undefined && ` +${durationText(afterMs)}`}
        {actor !== undefined && ` · ${actor}`}
      </span>
      {detail !== undefined && <span title={detail}>{detail}</span>}
    </div>
  );
}

interface ArrowProps {
  readonly placed: PlacedMessage;
  readonly width: number;
}

const NARROW = 150;

/** A message: to the step where it arrived, or as far as it has come. */
function Arrow({ placed: { message, from, to }, width }: ArrowProps) {
  const { type, state, from: lane, sentAt, receivedAt } = message;
  const direction = lane === 'orders' ? 1 : -1;
  const x1 = lane === 'orders' ? 16 : width - 16;
  const x2 = to === undefined ? x1 + direction * (width / 3) : lane === 'orders' ? width - 16 : 16;
  const y2 = to ?? from;
  const [dx, dy] = [x2 - x1, y2 - from];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  // Along the line, but never upside down.
  const angle = (Math.atan2(dy * direction, dx * direction) * 180) / Math.PI;
  const head = [
    [x2, y2],
    [x2 - 9 * ux + 4.5 * uy, y2 - 9 * uy - 4.5 * ux],
    [x2 - 9 * ux - 4.5 * uy, y2 - 9 * uy + 4.5 * ux],
  ];
  const took =
    to !== undefined && receivedAt !== undefined ? ` ${durationText(Date.parse(receivedAt) - Date.parse(sentAt))}` : '';
  return (
    <g className={classes['arrow']} data-state={state}>
      <line x1={x1} y1={from} x2={x2} y2={y2} />
      <polygon points={head.map((point) => point.join(',')).join(' ')} />
      {width > NARROW && to !== undefined && (
        <text transform={`translate(${(x1 + x2) / 2} ${(from + y2) / 2}) rotate(${angle})`} dy={-6}>
          {state === 'received' ? `${type}${took}` : `${type}: ${state}`}
        </text>
      )}
    </g>
  );
}
