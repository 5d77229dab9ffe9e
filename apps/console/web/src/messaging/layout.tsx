import './styles.js';
import { Badge, SegmentedControl } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { type MessagingOverview } from '@twinbox/client/admin';
import { type ReactNode } from 'react';
import { Page } from '../shared/page.js';
import { count } from './flow/flow.js';
import classes from './layout.module.css';
import { type ServiceName, SERVICES, useService } from './service.js';
import { useOverview } from './use-messaging.js';

/** The frame of all pages of messaging: which service, and what of it. */
export function MessagingLayout({ children }: { readonly children: ReactNode }) {
  const service = useService();
  const navigate = useNavigate();
  return (
    <Page
      title="Messaging"
      aside={
        <SegmentedControl
          aria-label="Service"
          data={[...SERVICES]}
          value={service}
          onChange={(value) => void navigate({ to: '/messaging/$service', params: { service: value } })}
        />
      }
    >
      <Tabs service={service} />
      {children}
    </Page>
  );
}

function Tabs({ service }: { readonly service: ServiceName }) {
  const { data } = useOverview();
  const { letters, parked, jobs } = countsOf(data);
  const params = { service };
  const tab = { className: classes['tab'], params };
  return (
    <nav aria-label="Messaging" className={classes['tabs']}>
      <Link {...tab} to="/messaging/$service" activeOptions={{ exact: true }}>
        Flow
      </Link>
      <Link {...tab} to="/messaging/$service/dead-letters">
        Dead letters <Count n={letters} color="red" />
      </Link>
      <Link {...tab} to="/messaging/$service/parked">
        Parked <Count n={parked} color="gray" />
      </Link>
      <Link {...tab} to="/messaging/$service/dead-jobs">
        Dead jobs <Count n={jobs} color="red" />
      </Link>
      <Link {...tab} to="/messaging/$service/operations">
        Operations
      </Link>
      <Link {...tab} to="/messaging/$service/replay">
        Replay
      </Link>
      <Link {...tab} to="/messaging/$service/audit">
        Audit
      </Link>
    </nav>
  );
}

function Count({ n, color }: { readonly n: number; readonly color: string }) {
  return n === 0 ? null : (
    <Badge size="sm" variant="light" color={color}>
      {count(n)}
    </Badge>
  );
}

function countsOf(overview: MessagingOverview | undefined) {
  const { relay, consumers = [], queues = [] } = overview ?? {};
  const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0);
  return {
    letters: (relay?.deadLetters ?? 0) + sum(consumers.map(({ deadLetters }) => deadLetters)),
    parked: (relay?.unpublished.held.messages ?? 0) + sum(consumers.map(({ parked }) => parked)),
    jobs: sum(queues.map(({ dead }) => dead)),
  };
}
