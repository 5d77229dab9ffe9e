import { Random } from '../random.js';

export const SERVICES = ['order-service', 'payment-service'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** One of two replicas of a service, or of its separate relay. */
export type ProcessName = `${ServiceName}/${1 | 2}` | `${ServiceName} relay/${1 | 2}`;

/** A single broker, or one of a cluster. */
export type BrokerName = 'kafka' | `kafka-${number}`;
export type ServerName = 'postgres' | BrokerName;

/** The contents of PostgreSQL, a separate target from the server itself: both may be affected at the same time. */
const DATABASE = 'database';

/** The link from one process to one server. */
export type LinkName = `${ProcessName} → ${ServerName}`;

const GATEWAYS = ['manual', 'simulated'] as const;
export type Gateway = (typeof GATEWAYS)[number];

/** What runs. One of the services relays in its own processes; the other has separate relay processes. */
export interface Setup {
  readonly separateRelaysOf: ServiceName;
  /** What settles payments in addition to operators and the provider. */
  readonly gateway: Gateway;
  readonly processes: readonly ProcessName[];
  readonly links: readonly LinkName[];
  readonly brokers: readonly BrokerName[];
}

/** Any two consecutive seeds cover both relay setups of both services, and any four cover each of them with each gateway. */
export function setupFor(seed: number, brokerCount = 1): Setup {
  const separateRelaysOf = seed % 2 === 0 ? 'order-service' : 'payment-service';
  const processes: ProcessName[] = [
    'order-service/1',
    'order-service/2',
    'payment-service/1',
    'payment-service/2',
    `${separateRelaysOf} relay/1`,
    `${separateRelaysOf} relay/2`,
  ];
  const brokers = brokersOf(brokerCount);
  const links = processes.flatMap((name) =>
    ['postgres' as const, ...brokers].map((server): LinkName => `${name} → ${server}`),
  );
  const gateway = GATEWAYS[Math.floor(seed / 2) % GATEWAYS.length] ?? 'simulated';
  return { separateRelaysOf, gateway, processes, links, brokers };
}

const brokersOf = (count: number): BrokerName[] =>
  count === 1 ? ['kafka'] : Array.from({ length: count }, (_, n): BrokerName => `kafka-${n + 1}`);

/** Returns the service of a process or of the link of a process; undefined for a server. */
export const serviceOf = (target: string): ServiceName | undefined =>
  SERVICES.find((service) => target.startsWith(`${service}/`) || target.startsWith(`${service} relay/`));

const SERVICE_FAULTS = ['service killed', 'service paused', 'service terminated'] as const;
export const SERVER_FAULTS = ['server killed', 'server paused', 'server restarted'] as const;
const LINK_FAULTS = ['link cut', 'link silent', 'answers swallowed', 'link slow'] as const;
const DATABASE_FAULTS = ['database slow', 'column widened'] as const;
/** The faults that only a cluster of brokers can have. */
export const CLUSTER_FAULTS = ['coordinator killed', 'broker cut off', 'leaders moved'] as const;

/** Faults of a run with a standby of PostgreSQL; see `withStandbyFaults`. */
export const STANDBY_FAULTS = ['database failed over', 'standby killed', 'standby paused'] as const;

/** The broker that coordinates a consumer group, and the leaders of all partitions, whichever brokers they are at the time. */
const COORDINATOR = 'coordinator';
const LEADERS = 'leaders';

/** A planned fault: its kind, target, start and duration. */
export type Fault = Readonly<{ atMs: number; forMs: number }> &
  (
    | Readonly<{ kind: (typeof SERVICE_FAULTS)[number]; target: ProcessName }>
    | Readonly<{ kind: (typeof SERVER_FAULTS)[number]; target: ServerName }>
    | Readonly<{ kind: (typeof LINK_FAULTS)[number]; target: LinkName }>
    | Readonly<{ kind: (typeof DATABASE_FAULTS)[number]; target: typeof DATABASE }>
    | Readonly<{ kind: 'coordinator killed'; target: typeof COORDINATOR }>
    | Readonly<{ kind: 'broker cut off'; target: BrokerName }>
    | Readonly<{ kind: 'leaders moved'; target: typeof LEADERS }>
    | Readonly<{ kind: (typeof STANDBY_FAULTS)[number]; target: 'postgres' }>
  );
export type FaultKind = Fault['kind'];

/** A fault that was injected. */
export type InjectedFault = Readonly<{ kind: FaultKind; target: string }> & {
  /** When it started, in milliseconds since 1970. */
  readonly at: number;
  /** When it was over. A restarted process or server was listening by then. */
  readonly until: number;
};

export const FAULT_KINDS = [...SERVICE_FAULTS, ...SERVER_FAULTS, ...LINK_FAULTS, ...DATABASE_FAULTS] as const;

interface Card {
  readonly kind: FaultKind;
  readonly targets: readonly string[];
  readonly forMs: readonly [min: number, max: number];
  /** The number of these cards in the deck. */
  readonly times: number;
}

const SINGLE_BROKER: readonly Card[] = [
  { kind: 'server killed', targets: ['kafka'], forMs: [500, 4000], times: 1 },
  { kind: 'server paused', targets: ['kafka'], forMs: [2000, 8000], times: 1 },
  { kind: 'server restarted', targets: ['kafka'], forMs: [0, 2000], times: 1 },
];

/** Most of them are longer than a broker's session of 3 s, so that others become the leaders of its partitions. */
const clusterCards = (brokers: readonly BrokerName[]): readonly Card[] => [
  { kind: 'server killed', targets: brokers, forMs: [500, 6000], times: 2 },
  { kind: 'server paused', targets: brokers, forMs: [2000, 9000], times: 1 },
  { kind: 'server restarted', targets: brokers, forMs: [0, 4000], times: 1 },
  { kind: 'coordinator killed', targets: [COORDINATOR], forMs: [4000, 6000], times: 1 },
  { kind: 'broker cut off', targets: brokers, forMs: [2000, 8000], times: 2 },
  { kind: 'leaders moved', targets: [LEADERS], forMs: [0, 0], times: 3 },
];

const deckOf = ({ processes, links, brokers }: Setup): readonly Card[] => [
  { kind: 'service killed', targets: processes, forMs: [200, 3000], times: 4 },
  // Longer than the relay lease of 4 s, so that a paused holder resumes after it has been replaced.
  { kind: 'service paused', targets: processes, forMs: [5000, 9000], times: 4 },
  { kind: 'service terminated', targets: processes, forMs: [0, 2000], times: 2 },
  ...(brokers.length === 1 ? SINGLE_BROKER : clusterCards(brokers)),
  { kind: 'server killed', targets: ['postgres'], forMs: [200, 3000], times: 2 },
  { kind: 'server paused', targets: ['postgres'], forMs: [2000, 6000], times: 1 },
  { kind: 'server restarted', targets: ['postgres'], forMs: [0, 2000], times: 1 },
  { kind: 'link cut', targets: links, forMs: [500, 5000], times: 2 },
  { kind: 'link silent', targets: links, forMs: [3000, 10_000], times: 2 },
  { kind: 'answers swallowed', targets: links, forMs: [1000, 6000], times: 3 },
  { kind: 'link slow', targets: links, forMs: [3000, 10_000], times: 1 },
  { kind: 'database slow', targets: [DATABASE], forMs: [4000, 9000], times: 2 },
  { kind: 'column widened', targets: [DATABASE], forMs: [0, 0], times: 3 },
];

/** The time between the starts of two faults. Shorter than most faults, so that they overlap. */
const GAP_MS = [1000, 5000] as const;

/** The minimum time between two faults of one target. A server needs some of it to start: a server that is never up tests nothing. */
const REST_MS = { server: 10_000, other: 3000 };

/** Returns the links that lead to a server. */
export const linksTo = (server: ServerName, links: readonly LinkName[]): LinkName[] =>
  links.filter((link) => link.endsWith(` → ${server}`));

/**
 * Returns what a fault needs for itself: two faults that share any of it never overlap. It is the target and, for a broker that is cut
 * off, each of its links, because the end of one fault of a link would end the other one too. In a cluster it is the same for all that
 * stop a broker, because a second stopped broker would leave fewer replicas in sync than a write needs.
 */
export function exclusionsOf(
  { kind, target }: { readonly kind: FaultKind; readonly target: string },
  links: readonly LinkName[],
): string[] {
  if (kind === 'coordinator killed') return ['brokers'];
  if (kind === 'broker cut off') return [target, ...linksTo(target as BrokerName, links)];
  return [kind.startsWith('server') && target.startsWith('kafka-') ? 'brokers' : target];
}

/**
 * Plans the faults of a run, in order of their starts. The seed determines the plan. The kinds are dealt from a shuffled deck, every kind
 * once before any is repeated, so that even a short run includes nearly all of them.
 */
export function planFaults(seed: number, durationMs: number, brokerCount = 1): Fault[] {
  const random = new Random(seed);
  const setup = setupFor(seed, brokerCount);
  const wholeDeck = deckOf(setup).flatMap((card) => Array.from({ length: card.times }, () => card));
  /** Deals every kind once, then the rest of the deck. */
  const deal = () => {
    const byKind = [...Map.groupBy(random.shuffled(wholeDeck), ({ kind }) => kind).values()];
    const [firsts, others] = [byKind.map((cards) => cards.slice(0, 1)), byKind.map((cards) => cards.slice(1))];
    return [...firsts.flat(), ...random.shuffled(others.flat())];
  };
  const faults: Fault[] = [];
  const freeAt = new Map<string, number>();
  const isFree = (kind: FaultKind, target: string, atMs: number) =>
    exclusionsOf({ kind, target }, setup.links).every((needed) => (freeAt.get(needed) ?? 0) <= atMs);
  let deck: Card[] = [];
  for (let atMs = random.between(...GAP_MS); atMs < durationMs; atMs += random.between(...GAP_MS)) {
    if (deck.length === 0) deck = deal();
    // Takes the first card that has a free target; the others keep their positions.
    for (const [index, { kind, targets, forMs }] of deck.entries()) {
      const [first, ...others] = targets.filter((target) => isFree(kind, target, atMs));
      if (first === undefined) continue;
      const fault = { atMs, kind, target: random.oneOf([first, ...others]), forMs: random.between(...forMs) } as Fault;
      faults.push(fault);
      const restMs = REST_MS[kind.startsWith('server') || kind === 'coordinator killed' ? 'server' : 'other'];
      for (const needed of exclusionsOf(fault, setup.links)) freeAt.set(needed, atMs + fault.forMs + restMs);
      deck.splice(index, 1);
      break;
    }
  }
  return faults;
}
