import { stat } from 'node:fs/promises';
import { type KafkaDefinition, type KafkaExtras } from './kafka-definition.js';

export interface KafkaOptions {
  /** Created if missing; data of an earlier run is reused. Default: a new temporary directory. */
  readonly dataDir?: string;
  /** 0, the default, picks a free port. */
  readonly port?: number;
  /** The log is appended to this file. Default: a file next to the data directory. */
  readonly logFile?: string;
  /** Whether the node serves only a test run. It starts faster and needs less of the processor, but its peak throughput is lower. */
  readonly shortLived?: boolean;
  /** Called with a description of each slow operation, such as a download. */
  readonly onProgress?: (what: string) => void;
  readonly signal?: AbortSignal;
}

/** A single KRaft node. It runs outside the process group of the caller, so only these methods stop it, not Ctrl-C in the terminal. */
export interface KafkaServer {
  /** host:port, the format of KAFKA_BROKERS. */
  readonly brokers: string;
  readonly port: number;
  /** Starts the node again with the same data and port. Does nothing if it is running. */
  start(): Promise<void>;
  /** Shuts the node down in a controlled way. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Sends SIGKILL, to simulate a crash. */
  kill(): Promise<void>;
  /** Suspends its processes, as if the machine hung: connections stay open but are silent until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Stops the node and deletes its data. */
  remove(): Promise<void>;
}

/** What a way of running Kafka, in a container or from its jars, has to provide. */
export type KafkaNode = Omit<KafkaServer, 'brokers' | 'port' | 'restart'>;

/** What a node is started with, whichever way it runs. */
export interface KafkaContext extends KafkaOptions {
  readonly dataDir: string;
  readonly logFile: string;
  readonly definition: KafkaDefinition;
  readonly extras?: KafkaExtras;
}

export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
