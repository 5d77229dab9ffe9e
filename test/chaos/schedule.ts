import { Random } from './random.js';

export const SERVICES = ['order-service', 'payment-service'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** One of two replicas: of a service, or of its relay where that is a process of its own. */
export type ProcessName = `${ServiceName}/${1 | 2}` | `${ServiceName} relay/${1 | 2}`;

export const SERVERS = ['postgres', 'kafka'] as const;
export type ServerName = (typeof SERVERS)[number];

/** What PostgreSQL holds, as a target beside the server itself: both may be in trouble at the same time. */
const DATABASE = 'database';

/** The way of one process to one server. */
export type LinkName = `${ProcessName} → ${ServerName}`;

const GATEWAYS = ['manual', 'simulated'] as const;
export type Gateway = (typeof GATEWAYS)[number];

/** What runs: one service relays by itself, the other has relays of their own. */
export interface Cast {
  readonly relaysApart: ServiceName;
  /** Who settles payments, beside operators and the provider. */
  readonly gateway: Gateway;
  readonly processes: readonly ProcessName[];
  readonly links: readonly LinkName[];
}

/** Two seeds in a row see either service with either way to relay, and four each of them with each gateway. */
export function castOf(seed: number): Cast {
  const relaysApart = seed % 2 === 0 ? 'order-service' : 'payment-service';
  const processes: ProcessName[] = [
    'order-service/1',
    'order-service/2',
    'payment-service/1',
    'payment-service/2',
    `${relaysApart} relay/1`,
    `${relaysApart} relay/2`,
  ];
  const links = processes.flatMap((name) => SERVERS.map((server): LinkName => `${name} → ${server}`));
  const gateway = GATEWAYS[Math.floor(seed / 2) % GATEWAYS.length] ?? 'simulated';
  return { relaysApart, gateway, processes, links };
}

/** Whose process, or whose process's link, this is; undefined of a server. */
export const serviceOf = (target: string): ServiceName | undefined =>
  SERVICES.find((service) => target.startsWith(`${service}/`) || target.startsWith(`${service} relay/`));

const SERVICE_FAULTS = ['service killed', 'service paused', 'service terminated'] as const;
const SERVER_FAULTS = ['server killed', 'server paused', 'server restarted'] as const;
const LINK_FAULTS = ['link cut', 'link silent', 'answers swallowed', 'link slow'] as const;
const DATABASE_FAULTS = ['database slow', 'column widened'] as const;

/** What is done to what, when, and for how long. */
export type Fault = Readonly<{ atMs: number; forMs: number }> &
  (
    | Readonly<{ kind: (typeof SERVICE_FAULTS)[number]; target: ProcessName }>
    | Readonly<{ kind: (typeof SERVER_FAULTS)[number]; target: ServerName }>
    | Readonly<{ kind: (typeof LINK_FAULTS)[number]; target: LinkName }>
    | Readonly<{ kind: (typeof DATABASE_FAULTS)[number]; target: typeof DATABASE }>
  );
export type FaultKind = Fault['kind'];

/** A fault as it happened. */
export type Injected = Pick<Fault, 'kind' | 'target'> & {
  /** When it began, in milliseconds since 1970. */
  readonly at: number;
  /** When it was over; a process or server that was started again listened by then. */
  readonly until: number;
};

export const FAULT_KINDS = [...SERVICE_FAULTS, ...SERVER_FAULTS, ...LINK_FAULTS, ...DATABASE_FAULTS] as const;

interface Card {
  readonly kind: FaultKind;
  readonly targets: readonly string[];
  readonly forMs: readonly [min: number, max: number];
  /** How often it is in the deck. */
  readonly times: number;
}

const deckOf = ({ processes, links }: Cast): readonly Card[] => [
  { kind: 'service killed', targets: processes, forMs: [200, 3000], times: 4 },
  // Longer than a lease of 4 s, so that its holder wakes up behind a successor.
  { kind: 'service paused', targets: processes, forMs: [5000, 9000], times: 4 },
  { kind: 'service terminated', targets: processes, forMs: [0, 2000], times: 2 },
  { kind: 'server killed', targets: ['kafka'], forMs: [500, 4000], times: 1 },
  { kind: 'server paused', targets: ['kafka'], forMs: [2000, 8000], times: 1 },
  { kind: 'server restarted', targets: ['kafka'], forMs: [0, 2000], times: 1 },
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

/** Between the beginnings of two faults: shorter than most faults, so that they meet. */
const GAP_MS = [1000, 5000] as const;

/** A target is left alone for so long after a fault. A server needs some of it to start: what is never up shows nothing. */
const REST_MS = { server: 10_000, other: 3000 };

/**
 * The faults of a run, in the order of their beginnings: the same for the same seed. Their kinds are dealt from a deck rather
 * than thrown by dice, every kind once before any comes again, so that a short run too sees nearly all of them.
 */
export function planFaults(seed: number, durationMs: number): Fault[] {
  const random = new Random(seed);
  const wholeDeck = deckOf(castOf(seed)).flatMap((card) => Array.from({ length: card.times }, () => card));
  /** Every kind once, then what is left of the deck. */
  const deal = () => {
    const byKind = [...Map.groupBy(random.shuffled(wholeDeck), ({ kind }) => kind).values()];
    const [firsts, others] = [byKind.map((cards) => cards.slice(0, 1)), byKind.map((cards) => cards.slice(1))];
    return [...firsts.flat(), ...random.shuffled(others.flat())];
  };
  const faults: Fault[] = [];
  const freeAt = new Map<string, number>();
  let deck: Card[] = [];
  for (let atMs = random.between(...GAP_MS); atMs < durationMs; atMs += random.between(...GAP_MS)) {
    if (deck.length === 0) deck = deal();
    // The first card that can be played now; the others keep their places.
    for (const [index, { kind, targets, forMs }] of deck.entries()) {
      const [first, ...others] = targets.filter((target) => (freeAt.get(target) ?? 0) <= atMs);
      if (first === undefined) continue;
      const fault = { atMs, kind, target: random.oneOf([first, ...others]), forMs: random.between(...forMs) } as Fault;
      faults.push(fault);
      freeAt.set(fault.target, atMs + fault.forMs + REST_MS[kind.startsWith('server') ? 'server' : 'other']);
      deck.splice(index, 1);
      break;
    }
  }
  return faults;
}
