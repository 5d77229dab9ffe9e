import { useElementSize } from '@mantine/hooks';
import { useMemo } from 'react';
import { useService } from '../service.js';
import { type Flow } from './flow.js';
import { type Arrow, narrowPicture, type Picture as Layout, widePicture } from './picture-layout.js';
import classes from './picture.module.css';
import { StageBox } from './stage-box.js';

/** Below this width of the page, in pixels, the texts of the wide picture would be too small to read. */
const WIDE_FROM = 720;

/** How messages flow through a service. Each box links to the page with its details. */
export function Picture({ flow, at }: { readonly flow: Flow; readonly at: string }) {
  const { ref, width } = useElementSize();
  const isWide = width === 0 || width >= WIDE_FROM;
  const layout = useMemo(() => (isWide ? widePicture(flow) : narrowPicture(flow)), [flow, isWide]);
  const service = useService();
  return (
    <div ref={ref}>
      <svg
        className={`${classes['picture']} ${classes[isWide ? 'wide' : 'narrow']}`}
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        role="group"
        aria-label={`The flow of messages through ${service === 'orders' ? 'order-service' : 'payment-service'}`}
      >
        <Background layout={layout} />
        {layout.arrows.map((arrow) => (
          <Line key={`${arrow.from.join()}-${arrow.to.join()}`} arrow={arrow} />
        ))}
        {layout.boxes.map((box) => (
          <StageBox key={`${box.lane}/${box.stage.kind}/${box.stage.title}`} box={box} at={at} />
        ))}
      </svg>
    </div>
  );
}

function Background({ layout: { kafka, labels } }: { readonly layout: Layout }) {
  return (
    <>
      {kafka && (
        <>
          <rect className={classes['kafka']} {...kafka} rx={12} />
          <text className={classes['label']} x={kafka.x + 12} y={kafka.y + 20}>
            Kafka
          </text>
        </>
      )}
      {labels.map(({ text, x, y }) => (
        <text key={`${x}/${y}`} className={classes['label']} x={x} y={y}>
          {text}
        </text>
      ))}
    </>
  );
}

const HEAD = 8;

function Line({ arrow: { from, to, isMoving, isStuck } }: { readonly arrow: Arrow }) {
  const angle = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
  const end = [to[0] - Math.cos((angle * Math.PI) / 180) * HEAD, to[1] - Math.sin((angle * Math.PI) / 180) * HEAD];
  return (
    <>
      <path
        className={classes['line']}
        data-moving={isMoving || undefined}
        data-stuck={isStuck || undefined}
        d={`M${from.join(' ')}L${end.join(' ')}`}
      />
      <path
        className={classes['head']}
        d={`M0 0L${-HEAD} ${-HEAD / 2}L${-HEAD} ${HEAD / 2}Z`}
        transform={`translate(${to.join(' ')}) rotate(${angle})`}
      />
    </>
  );
}
